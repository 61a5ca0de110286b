"""Command lines for the fuzzing: every command and option, values good and bad, and a stage.

Whether a value is right is judged here from the rules, not by the code under test. A case is a list
of words and the exit statuses that it may end with; None stands for any of 0, 1 and 2.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import click
from click.testing import CliRunner

from mm.audit import audit
from mm.cli import main
from mm.cli.options import Positive
from mm.interrupts import Stop
from mm.market import config_toml
from mm.rule import SHIPPED
from mm.store import take_snapshot
from tests.hunts.fuzz.inputs import NUMBERS, TEXTS, damage
from tests.kit import World, small_config
from tests.kit.backends import Real, wait_for

#: A value and whether it is right; None where that depends on more than the value.
Judged = tuple[str, bool | None]

#: Commands that would start a market of their own: only refused command lines are tried.
STARTERS = ("mm bench", "mm chaos", "mm flow")
#: Commands that run until a signal ends them.
RUNNING = (
    *("mm exchange", "mm state", "mm archivist", "mm maker", "mm balancer"),
    *("mm publisher", "mm up", "mm watch", "mm serve"),
)
#: Commands that take --data-dir for their logs beside --redis-url; the others refuse both.
LOGGING = tuple(name for name in RUNNING if name != "mm watch")
#: Commands whose arguments and options are right or wrong only together: symbols or --all, an
#: address and its certificates.
CONTROLLING = (
    *("mm halt", "mm reduce", "mm flatten", "mm resume", "mm repair"),
    *("mm config apply", "mm acl", "mm up", "mm serve"),
)
#: A case that hangs this long ends the run, saying where it hangs.
HANG_S = 60

#: Commands of which right values may not go together.
LOOSE = {
    *("mm publisher", "mm order", "mm explain", "mm tape check", "mm tape convert"),
    *("mm fills", "mm orders", "mm quotes", "mm pnl", "mm report", "mm rule check"),
}
#: A backup needs a managed server, and a restore a backup: the stage has neither.
LOOSE |= {"mm backup", "mm restore"}
_URLS: tuple[Judged, ...] = (
    *[(url, False) for url in ("", "x", "http://localhost", "redis:", "redis//a", "unix", "://")],
    *[(url, False) for url in ("redis://localhost:99999", "redis://localhost:x", "redis://[::1")],
    *[(url, False) for url in ("redis://localhost:1?db=x", "unix:///tmp/s?colour=red")],
    *[(f"{url}?{name}", False) for url in ("unix:///tmp/s", "redis://localhost:1") for name in (
        "decode_responses=true", "protocol=3", "retry_on_timeout=true", "socket_timeout=x")],
    ("redis://localhost:1", None), ("unix:///nonexistent/s", None), ("unix://", False),
    ("redis://127.0.0.1:1/3", None), ("redis://u:p@127.0.0.1:1/0", None), ("redis://", None),
    ("redis://localhost:1?db=3", None), ("unix:///tmp/s?ssl_certfile=x", False),
    ("redis://localhost:1/x", None), ("unix://" + "x" * 300, False), ("rediss://localhost:1", None),
)  # fmt: skip
_PATHS = ("", ".", "..", "nope/nope", "x" * 300, "x/" * 600, "/dev/null", "/dev/full", "/dev/zero",
          "/proc/self/mem", "binary", "dir", "pipe", "Ä", "a b", "-", "--", "\n")  # fmt: skip


def commands(
    command: click.Command = main, path: str = "mm"
) -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below, f"{path} {name}")
    else:
        yield path, command


def _integer(text: str, kind: click.IntRange) -> bool:
    try:
        number = int(text)
    except ValueError:
        return False
    return (kind.min is None or number >= kind.min) and (kind.max is None or number <= kind.max)


def _decimal(text: str, places: int) -> bool:
    """Whether it is a positive number of whole steps of ``10^-places``, all of 2^53 - 1."""
    if not re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,20})?", text):
        return False
    whole, _, decimals = text.partition(".")
    if decimals[places:].strip("0"):
        return False
    return 0 < int(whole + decimals[:places].ljust(places, "0")) < 2**53


def _judge_text(path: str, name: str, text: str) -> bool | None:
    """What a plain text parameter's value is worth."""
    identifier = re.fullmatch(r"[A-Za-z0-9._-]{1,64}", text) is not None
    kind = path.split()[-1]
    match name:
        case "prefix":
            return re.fullmatch(r"\{[A-Za-z0-9._-]{1,32}\}", text) is not None
        case "ident":
            return re.fullmatch(r"[A-Za-z0-9._-]{1,64}", f"{kind}-{text}") is not None
        case "client_id" | "order_id":
            return identifier
        case "rule" | "name":
            return text in SHIPPED
        case "symbol" if kind in ("check", "convert"):
            return None
        case "symbol":
            # Who types an order may do it in small letters.
            return (text.upper() if kind == "order" else text) in ("AAA", "BBB")
        case "side":
            return text.lower() in ("buy", "sell", "b", "s")
        case "quantity":
            return _decimal(text, 0)
        case "limit_price":
            return _decimal(text, 2)
    return None


def _judge_number(name: str, text: str, kind: Positive) -> bool | None:
    try:
        number = float(text)
    except ValueError:
        return False
    if not math.isfinite(number) or number < 0 or (number == 0 and not kind._zero):
        return False
    if name == "speed":
        return None
    return number <= 10_000_000 or not name.startswith("rate")


def _refuse_to_start(_server: object) -> None:
    raise AssertionError("a command started a server of its own: name it in STARTERS")


@dataclass
class Stage:
    """A running system and a directory to run commands in; its processes are threads."""

    url: str
    directory: Path
    world: World
    commands: dict[str, click.Command] = field(default_factory=lambda: dict(commands()))

    @classmethod
    @contextlib.contextmanager
    def on(cls, backend: Real) -> Iterator[Stage]:
        """A stage on a real server, and nothing left of it afterwards."""
        world = World(backend, small_config(limit=5000, size=100))
        stop = threading.Event()
        with (
            tempfile.TemporaryDirectory(prefix="mm-") as archives,
            tempfile.TemporaryDirectory(prefix="mm-") as name,
            contextlib.chdir(name),
        ):
            # The archive of the system is its own: those that commands would make are refused.
            archivist = world.archivist(Path(archives))
            # Closed here, so that their messages stay out of the commands' own.
            running = [world.exchange(), world.state(), world.maker(), archivist]
            threads = [threading.Thread(target=one.run, args=(stop,)) for one in running]
            for thread in threads:
                thread.start()
            wait_for("the archive", lambda: world.scripts.archive_state().archive_id)
            stage = cls(backend.server.url, Path(name), world)
            stage._furnish()
            try:
                yield stage
            finally:
                stop.set()
                for thread in threads:
                    thread.join()

    def _furnish(self) -> None:
        """Make the directory what it was, so that no case depends on an earlier one."""
        for path in self.directory.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        self.directory.joinpath("good.toml").write_text(config_toml(self.world.config))
        trade = "1,AAA,buy,1.01,1\n2,BBB,sell,0.99,2\n"
        self.directory.joinpath("good.csv").write_text("ts_ms,symbol,side,price,qty\n" + trade)
        self.directory.joinpath("binary").write_bytes(bytes(range(256)))
        self.directory.joinpath("dir").mkdir()
        os.mkfifo(self.directory / "pipe")

    def words(self) -> list[str]:
        """Words that may mean something on a command line."""
        options = {o for one in self.commands.values() for p in one.params for o in p.opts}
        pool = [word for word in (*NUMBERS, *TEXTS) if "\0" not in word and inside(word)]
        return sorted(options) + pool

    def environment(self) -> dict[str, str]:
        """The variables by which the commands find the system."""
        return {"MM_REDIS_URL": self.url, "COLUMNS": "100", "TERM": "dumb"}

    def run(self, words: list[str]) -> int:
        """Run a command line in this process; its exit status, 0, 1 or 2, with a message."""
        self._furnish()
        ended = Stop()
        ended.set()
        words = [word for word in words if "\0" not in word]
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        try:
            # Processes start, see that they are to end, and stop; no market is started.
            with (
                patch("mm.host.server.ManagedServer.start", _refuse_to_start),
                patch("mm.cli.processes.stop_on_signals", lambda: ended),
                patch("mm.cli.up.stop_on_signals", lambda: ended),
                patch("mm.cli.serve.stop_on_signals", lambda: ended),
                patch("mm.cli.reading.stop_on_signals", lambda: ended),
                patch("mm.cli.order.watch_reports", lambda *_: None),
                patch("mm.up.Up.run", lambda *_: 0),
            ):
                done = CliRunner().invoke(main, words, env=self.environment())
        finally:
            faulthandler.cancel_dump_traceback_later()
            _forget_logs()
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise AssertionError(f"{done.exception!r} from mm {words!r}") from done.exception
        self._judge(words, done.exit_code, done.stdout, done.stderr)
        return done.exit_code

    def spawn(self, words: list[str], patience_s: float = 4.0) -> int:
        """Run a command line as a process; a command that runs on gets SIGTERM. Its exit status."""
        self._furnish()
        arguments = [os.fsencode(sys.executable), b"-m", b"mm"]
        for word in words:
            arguments.append(word.encode("utf-8", "surrogatepass").replace(b"\0", b""))
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | self.environment(),
        )
        line = " ".join(["mm", *words])
        running = any(line.startswith(name) for name in RUNNING) or "--watch" in words
        try:
            out, err = process.communicate(timeout=patience_s if running else HANG_S)
        except subprocess.TimeoutExpired:
            assert running, f"it does not end: mm {words!r}"
            process.terminate()
            out, err = process.communicate(timeout=HANG_S)
            if process.returncode == -signal.SIGTERM and patience_s < HANG_S:
                # On a busy machine it may not even have begun to listen for signals.
                return self.spawn(words, HANG_S)
            assert process.returncode == 0, f"{process.returncode} {err!r} from mm {words!r}"
        finally:
            process.kill()
            process.wait()
        texts = [one.decode("utf-8", "replace") for one in (out, err)]
        self._judge(words, process.returncode, *texts)
        return process.returncode

    def _judge(self, words: list[str], status: int, out: str, err: str) -> None:
        case = f"mm {words!r} ended with {status}: {err[-2000:]}"
        # 3: nothing of an order was filled.
        assert status in (0, 1, 2) or (words[:1] == ["order"] and status == 3), case
        assert "Traceback" not in out + err, case
        if status == 2:
            assert re.search(r"^(Error|mm|Usage): ", err, re.MULTILINE), case
        elif status == 1:
            said = err or (words[:1] in (["status"], ["doctor"]) and out)
            assert said, case

    def check(self) -> None:
        """The system has no lag and is sound."""
        wait_for("no lag", lambda: not any(take_snapshot(self.world.scripts).lag_ms.values()))
        verdict = audit(self.world.scripts)
        assert verdict.ok, [check.violations for check in verdict.checks if not check.ok]

    # values

    def good(self, path: str, param: click.Parameter, rng: random.Random) -> str:
        """A right value of the parameter."""
        kind, name = param.type, param.name or ""
        if isinstance(kind, click.IntRange):
            low = kind.min or 0
            return str(rng.choice((low, low + 1, min(kind.max or low + 100, low + 100))))
        if isinstance(kind, Positive):
            return rng.choice(("1", "0.5", "25", "1e3"))
        if isinstance(kind, click.Choice):
            return str(rng.choice(list(kind.choices)))
        made: dict[str, Callable[[], str]] = {
            "prefix": lambda: "{mm}",
            "redis_url": lambda: self.url,
            "listen": lambda: "127.0.0.1:0",
            "data_dir": lambda: rng.choice(("data", "dir")),
            "config": lambda: "good.toml",
            "tape": lambda: "good.csv",
            "journal": lambda: f"journal-{rng.randrange(9)}",
            "path": lambda: (
                f"new_{rng.randrange(10**9)}.{'py' if 'rule' in path else 'toml'}"
                if "init" in path
                else "good.csv"
                if "tape" in path
                else "good.toml"
            ),
            "rule": lambda: rng.choice(list(SHIPPED)),
            "name": lambda: rng.choice(list(SHIPPED)),
            "out": lambda: f"new-{rng.randrange(10**9)}.csv",
            "side": lambda: rng.choice(("buy", "SELL", "b", "s")),
            "symbol": lambda: rng.choice(("AAA", "BBB")),
            "symbols": lambda: rng.choice(("AAA", "BBB")),
            "begin": lambda: rng.choice(("90s", "1d", "2026-01-31T12:00:00Z")),
            "since": lambda: rng.choice(("90s", "1d", "2026-01-31T12:00:00Z")),
            "until": lambda: rng.choice(("0s", "5m", "2036-01-31 12:00+01:00")),
            "by": lambda: rng.choice(("day", "symbol,hour", "currency")),
            "output": lambda: f"new-{rng.randrange(10**9)}.{rng.choice(('csv', 'jsonl', 'x'))}",
            "quantity": lambda: str(rng.randint(1, 3)),
            "limit_price": lambda: f"{rng.uniform(0.9, 1.1):.2f}",
        }
        return made.get(name, lambda: f"w{rng.randrange(10**9)}")()

    def any_value(self, path: str, param: click.Parameter, rng: random.Random) -> Judged:
        """Some value of the parameter, and what it is worth."""
        kind, name = param.type, param.name or ""
        if name == "redis_url":
            return rng.choice(_URLS)
        if isinstance(kind, click.Path):
            # Opening a pipe to write waits for a reader, as it should.
            value = rng.choice([one for one in _PATHS if one != "pipe" or "init" not in path])
            reads = name in ("config", "tape") or (name == "path" and path != "mm config init")
            return value, False if reads else None
        value = rng.choice(rng.choice((NUMBERS, TEXTS)))
        if rng.random() < 0.3:
            good = self.good(path, param, rng).encode()
            value = damage(rng, good, 2).decode("utf-8", "surrogateescape")
        value = value.replace("\0", "")
        if isinstance(kind, click.IntRange):
            return value, _integer(value, kind)
        if isinstance(kind, Positive):
            return value, _judge_number(name, value, kind)
        if isinstance(kind, click.Choice):
            return value, value in kind.choices
        return value, _judge_text(path, name, value)


def inside(word: str) -> bool:
    """Whether the word, if it is a path, stays inside the stage's directory."""
    return not (word.startswith("/") or "=/" in word or ".." in word)


def _forget_logs() -> None:
    root = logging.getLogger("mm")
    for handler in [*root.handlers]:
        root.removeHandler(handler)
        handler.close()
    root.propagate = True


def command_case(rng: random.Random, stage: Stage) -> tuple[list[str], tuple[int, ...] | None]:
    """A command line with at most one value that may be wrong, or one of any words."""
    path = rng.choice(sorted(stage.commands))
    if path not in STARTERS and rng.random() < 0.1:
        pool = stage.words()
        return [*path.split()[1:], *(rng.choice(pool) for _ in range(rng.randint(0, 4)))], None
    params = [one for one in stage.commands[path].params if not getattr(one, "is_eager", False)]
    odd = rng.choice(params) if params and (path in STARTERS or rng.random() < 0.8) else None
    options, arguments, worth = path.split()[1:], [], True
    verdict: bool | None = True
    odd_value = ""
    for param in params:
        is_option = isinstance(param, click.Option)
        if isinstance(param, click.Option) and param.is_flag:
            options += [param.opts[-1]] * (rng.random() < 0.3)
            continue
        if is_option and param is not odd and rng.random() < 0.7:
            continue
        value = stage.good(path, param, rng)
        if param is odd:
            value, verdict = stage.any_value(path, param, rng)
            odd_value = value
        if is_option:
            options.append(f"{param.opts[-1]}={value}")
        else:
            arguments.append(value)
    worth = verdict is True
    if path in STARTERS and verdict is not False:
        return [*options, "--no-such-option"], (2,)
    words = [*options, *(["--", *arguments] if arguments else [])]
    if path not in LOGGING and {"--data-dir", "--redis-url"} <= {
        option.partition("=")[0] for option in options
    }:
        return words, (2,)
    if path in CONTROLLING or (path in LOOSE and verdict is not False):
        return words, None
    if verdict is False and odd is not None and any("--data-dir=" in word for word in options):
        # No directory of the stage runs. What only a system can refuse is not refused, then.
        return words, (1, 2) if _needs_system(path, odd.name or "", odd_value) else (2,)
    return words, (2,) if verdict is False else (0, 1) if worth else None


def _needs_system(path: str, name: str, value: str) -> bool:
    """Whether a wrong value can only be refused by a system, which knows its symbols and steps."""
    if path != "mm order":
        return name == "symbol"
    if name == "symbol":
        return re.fullmatch(r"[A-Z0-9._-]{1,16}", value.upper()) is not None
    return name in ("quantity", "limit_price") and re.fullmatch(r"[0-9.]+", value) is not None
