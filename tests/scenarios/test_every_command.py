"""Every command in every bad place: an answer in words, the right exit status, nothing worse.

Defends R18 and R20, and that bad input and bad days end in a clear sentence. Each command of the
command line is run over odd paths, poor terminals, closed pipes, and servers that are absent,
refuse, hang, or hold something else. A new command must be put in one of the lists below. The
normal run takes a covering choice of pairs; MATRIX=full in the environment takes every pair.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from mm.cli.main import COMMANDS
from mm.host import DataDir, ManagedServer, ThrowawaySystem
from mm.market import default_config
from mm.store import execute
from tests.kit import SERVERS, binary_or_skip, short_directory, wait_for
from tests.kit.commands import MM
from tests.kit.fake_server import MOODS, fake_server

pytestmark = [pytest.mark.server, pytest.mark.slow]

#: The commands that read a system and end: command -> further arguments.
READING: dict[str, list[str]] = {
    "status": [],
    "positions": [],
    "quotes": [],
    "exposure": [],
    "audit": [],
    "explain": ["AAPL"],
    "order": ["AAPL", "buy", "1", "1.00", "--timeout", "2"],
}
#: The commands that take part in a system until they are stopped.
JOINING = ("exchange", "state", "maker", "publisher")
#: The commands that are neither: they need no system, or make one.
OTHERS = ("up", "watch", "config", "bench", "chaos")
#: Longest wait for any answer, in seconds. A machine may be slow; hanging is what it must not be.
PATIENCE_S = 45.0
TRACE = re.compile(r"Traceback \(most recent call last\)|^\s+File \"", re.MULTILINE)
#: Whether every pair of command and place is tried.
FULL = os.environ.get("MATRIX") == "full"
#: The arguments of a command, and its further environment.
Cell = tuple[list[str], dict[str, str]]
PASSWORD = "s3cr3t-p@ss"
ENCODED = "s3cr3t-p%40ss"


@dataclass(frozen=True)
class Answer:
    """What a command did: its exit status, and its output as bytes."""

    words: tuple[str, ...]
    status: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """Both outputs."""
        return (self.out + self.err).decode("utf-8", "replace")

    def __str__(self) -> str:
        return f"mm {' '.join(self.words)} -> {self.status}\n{self.text}"


def run(*words: str, env: dict[str, str] | None = None, timeout_s: float = PATIENCE_S) -> Answer:
    """Run a command to its end; one that does not end in time fails the test."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MM_")}
    try:
        done = subprocess.run(
            [*MM, *words],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout_s,
            check=False,
            env=plain | (env or {}),
        )
    except subprocess.TimeoutExpired as error:
        said = (error.stdout or b"") + (error.stderr or b"")
        pytest.fail(f"mm {' '.join(words)} did not end within {timeout_s:.0f} s; it said {said!r}")
    return Answer(words, done.returncode, done.stdout, done.stderr)


def run_all(cells: list[Cell]) -> list[Answer]:
    """Run many commands, some at the same time."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda cell: run(*cell[0], env=cell[1]), cells))


def assert_words(answer: Answer, *allowed: int) -> None:
    """An allowed exit status, no traceback, no secret; a failure says why in a line of its own."""
    assert answer.status in allowed, answer
    assert not TRACE.search(answer.text), answer
    assert PASSWORD not in answer.text and ENCODED not in answer.text, answer
    if answer.status and not answer.out:
        assert re.search(r"^(mm: |Error: )\S", answer.err.decode("utf-8", "replace"), re.M), answer


def reading(where: list[str], **env: str) -> list[Cell]:
    """A cell for each reading command on one system."""
    return [([name, *words, *where], env) for name, words in READING.items()]


def test_every_command_is_walked() -> None:
    """A new command is in one of the three lists, so that the walks below reach it."""
    assert {*READING, *JOINING, *OTHERS} == set(COMMANDS)


def some(cells: list[Cell], turn: int, of: int) -> list[Cell]:
    """Every ``of``-th cell, another share each turn; all of them in the full matrix."""
    return cells if FULL else cells[turn % of :: of]


@pytest.fixture(scope="module")
def resting() -> Iterator[ThrowawaySystem[ManagedServer]]:
    """A system with keys, a server, and no process."""
    with ThrowawaySystem(ManagedServer) as system:
        system.start(default_config())
        yield system


# --- servers that do not serve


@pytest.mark.parametrize("mood", MOODS)
def test_a_server_in_a_bad_mood(mood: str) -> None:
    """Each reading command ends with status 1 and a sentence, whatever the server answers."""
    with short_directory() as place, fake_server(place / "s", mood) as url:
        cells = some(reading(["--redis-url", url]), list(MOODS).index(mood), 4)
        for answer in run_all(cells):
            assert_words(answer, 1)


@pytest.mark.parametrize("mood", [mood for mood in MOODS if mood != "noperm"])
def test_a_process_waits_in_words(mood: str) -> None:
    """A process that meets a server which does not serve says what it waits for, and stops."""
    with short_directory() as place, fake_server(place / "s", mood) as url:
        turn = list(MOODS).index(mood)
        for kind in JOINING if FULL else (JOINING[turn % 4],):
            process = subprocess.Popen(
                [*MM, kind, "--redis-url", url, "--data-dir", str(place / "d")],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            line = first_line(process)
            try:
                # A refusal is final and ends it; whatever may pass is waited for until a signal.
                out, err = process.communicate(timeout=3)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGTERM)
                out, err = process.communicate(timeout=PATIENCE_S)
            answer = Answer((kind,), process.returncode, out, line + err)
            assert line.strip(), f"{mood}: silent\n{answer}"
            assert not TRACE.search(answer.text), answer
            assert process.returncode in (0, 1), answer


def first_line(process: subprocess.Popen[bytes]) -> bytes:
    """The first line of its standard error, or nothing when none comes in time."""
    assert process.stderr is not None
    os.set_blocking(process.stderr.fileno(), False)
    until = time.monotonic() + PATIENCE_S
    read = b""
    while time.monotonic() < until and b"\n" not in read:
        read += process.stderr.read() or b""
        if process.poll() is not None:
            read += process.stderr.read() or b""
            break
        time.sleep(0.05)
    os.set_blocking(process.stderr.fileno(), True)
    return read


def test_no_server(tmp_path: Path) -> None:
    """Without a server each reading command says so, and how to start one."""
    cells = reading(["--data-dir", str(tmp_path / "none")])
    cells += some(reading(["--redis-url", f"unix://{tmp_path}/none.sock"]), 0, 2)
    cells += some(reading(["--redis-url", "redis://127.0.0.1:1/0"]), 1, 2)
    for answer in run_all(cells):
        assert_words(answer, 1)
        assert "mm up" in answer.text, answer
    url = f"unix://{tmp_path}/none.sock"
    up = ["up", "--headless", "--duration", "1", "--redis-url", url]
    for answer in run_all([(["watch", "--redis-url", url], {}), (up, {})]):
        assert_words(answer, 1)
        assert "no server answers" in answer.text, answer


def test_an_empty_server(resting: ThrowawaySystem[ManagedServer]) -> None:
    """A server without a system is said to be one; nothing is written to it."""
    for answer in run_all(reading(["--data-dir", str(resting.data_dir.path), "--prefix", "{no}"])):
        assert_words(answer, 1)
        assert "{no}" in answer.text, answer
    assert not resting.scripts.client.keys("{no}*")


def test_foreign_keys(resting: ThrowawaySystem[ManagedServer]) -> None:
    """Keys of another program under the prefix are refused and left as they are."""
    client = resting.scripts.client
    client.set("{alien}:config", "mine")
    for answer in run_all(
        reading(["--data-dir", str(resting.data_dir.path), "--prefix", "{alien}"])
    ):
        assert_words(answer, 1)
    assert client.get("{alien}:config") == b"mine"
    assert client.keys("{alien}*") == [b"{alien}:config"]


@contextmanager
def settings(system: ThrowawaySystem[ManagedServer], **changed: str) -> Iterator[None]:
    """Other settings of the server for a while."""
    client = system.scripts.client
    names = {name.replace("_", "-"): value for name, value in changed.items()}
    before = {name: str(client.config_get(name)[name]) for name in names}
    for name, value in names.items():
        client.config_set(name, value)
    try:
        yield
    finally:
        for name, old in before.items():
            client.config_set(name, old)


@dataclass(frozen=True)
class Cause:
    """What stops trading: the command that makes it so, the one that ends it, and its words."""

    begin: tuple[str, ...]
    end: tuple[str, ...]
    words: str
    announced: bool = True


CAUSES = (
    Cause(("CONFIG SET", "maxmemory", "1"), ("CONFIG SET", "maxmemory", "0"), "memory limit"),
    Cause(("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE"), "replica"),
    Cause(
        ("HSET", "{mm}:symbol:AAPL", "halted", "a gap"),
        ("HDEL", "{mm}:symbol:AAPL", "halted"),
        "AAPL is halted: a gap",
    ),
    Cause(
        ("ZADD", "{mm}:waiting:bid", "1", "AAPL"),
        ("ZREM", "{mm}:waiting:bid", "AAPL"),
        "no exposure is free",
        announced=False,
    ),
)
#: Said by every screen while no process is live.
AT_REST = "nothing trades"


@SERVERS
def test_what_stops_trading_is_on_every_screen(server: str) -> None:
    """Each reading command says each cause while it lasts, and no longer; the view says its end."""
    with ThrowawaySystem(partial(ManagedServer, binary=binary_or_skip(server))) as system:
        system.start(default_config())
        where = ["--data-dir", str(system.data_dir.path)]
        turn = 0 if server == "valkey" else 1
        client = system.scripts.client
        # Lines go into a file: a screen that cannot draw.
        view = system.data_dir.path / "view"
        with view.open("wb") as file:
            watch = subprocess.Popen([*MM, "watch", *where], stdout=file)
        try:
            wait_for_line(view, AT_REST)
            for cause in CAUSES:
                execute(client, *cause.begin)
                for answer in run_all(some(reading(where), turn, 2)):
                    assert_words(answer, 0, 1)
                    said = " ".join(answer.text.split())
                    assert cause.words in said and AT_REST in said, answer
                    if answer.words[0] in ("status", "order"):
                        assert answer.status == 1, answer
                wait_for_line(view, cause.words, *["TROUBLE: "][: cause.announced])
                execute(client, *cause.end)
                answer = run("status", *where)
                assert cause.words not in " ".join(answer.text.split()), answer
                if cause.announced:
                    wait_for_line(view, "over after ", cause.words)
                turn += 1
        finally:
            watch.terminate()
            watch.wait(PATIENCE_S)


def wait_for_line(view: Path, *words: str) -> None:
    """Wait until a line of the file has all the words."""

    def seen() -> bool:
        lines = view.read_text().splitlines()
        return any(all(word in line for word in words) for line in lines)

    wait_for(f"a line with {words}", seen, PATIENCE_S)


def test_relaxed_durability(resting: ThrowawaySystem[ManagedServer]) -> None:
    """Over a server that may lose acknowledged writes no reading command keeps silent about it."""
    with settings(resting, appendfsync="everysec"):
        for answer in run_all(reading(["--data-dir", str(resting.data_dir.path)])):
            assert_words(answer, 0, 1)
            assert re.search(r"relaxed|appendfsync", answer.text), answer


# --- secrets


def test_a_password_stays_secret() -> None:
    """A password in the URL is in no output and no log, whether the server takes it or not."""
    with ThrowawaySystem(ManagedServer) as system:
        system.start(default_config())
        system.scripts.client.config_set("requirepass", PASSWORD)
        url = f"unix://:{ENCODED}@{system.data_dir.socket}"
        wrong = f"unix://:{ENCODED}wrong@{system.data_dir.socket}"
        broken = f"redis://:{PASSWORD}/rd#%@127.0.0.1:1/0"
        for answer in run_all(some(reading(["--redis-url", url]), 0, 3)):
            assert_words(answer, 0, 1)
        for answer in run_all(some(reading(["--redis-url", wrong]), 1, 3)):
            assert_words(answer, 1)
        for answer in run_all(some(reading(["--redis-url", broken]), 2, 3)):
            assert_words(answer, 1, 2)
        for log in system.data_dir.logs.rglob("*"):
            content = log.read_text(errors="replace") if log.is_file() else ""
            assert PASSWORD not in content and ENCODED not in content, log
        system.scripts.client.config_set("requirepass", "")


# --- terminals and pipes


@pytest.mark.parametrize(
    "env",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"TERM": "dumb"},
        {"NO_COLOR": "1", "COLUMNS": "80"},
    ],
    ids=["C locale", "ascii", "latin-1", "dumb", "no color"],
)
def test_poor_terminals(resting: ThrowawaySystem[ManagedServer], env: dict[str, str]) -> None:
    """Each reading command shows its result on a terminal that has few characters."""
    cells = reading(["--data-dir", str(resting.data_dir.path)], **env)
    for answer in run_all(some(cells, sum(map(len, env)), 3)):
        assert_words(answer, 0, 1)
        if "PYTHONIOENCODING" not in env or env["PYTHONIOENCODING"] != "latin-1":
            continue
        answer.out.decode("latin-1")


def test_help_and_usage_of_every_command() -> None:
    """Each command explains itself on a narrow ASCII terminal, and a wrong option has status 2."""
    env = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "COLUMNS": "40"}
    for answer in run_all([([name, "--help"], env) for name in COMMANDS]):
        assert_words(answer, 0)
        assert answer.out.startswith(b"Usage: ") and not answer.err, answer
    for answer in run_all([([name, "--no-such"], env) for name in COMMANDS]):
        assert_words(answer, 2)
        assert not answer.out, answer


@pytest.mark.parametrize("columns", [40, 60, 80, 120, 250] if FULL else [40, 80, 250])
def test_widths(resting: ThrowawaySystem[ManagedServer], columns: int) -> None:
    """At any width no line is longer than the screen, and no number goes over two lines."""
    env = {"COLUMNS": str(columns)}
    for name in ("positions", "quotes", "exposure", "audit"):
        answer = run(name, "--data-dir", str(resting.data_dir.path), env=env)
        assert_words(answer, 0, 1)
        for line in answer.out.decode().splitlines():
            assert len(line) <= columns, answer
        assert not re.search(r"[0-9][.,]$", answer.out.decode(), re.M), answer


def test_closed_pipe(resting: ThrowawaySystem[ManagedServer]) -> None:
    """A reader of the output that goes away early is no error and leaves no traceback."""
    for name, words in READING.items():
        if name == "order":
            continue
        where = ["--data-dir", str(resting.data_dir.path)]
        with subprocess.Popen(
            [*MM, name, *words, *where], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.close()
            err = process.stderr.read()
            status = process.wait(PATIENCE_S)
        assert not TRACE.search(err.decode()), (name, err)
        assert status in (0, 1), (name, err)


def test_json_is_json(resting: ThrowawaySystem[ManagedServer]) -> None:
    """Each reading command prints valid JSON with --json, and nothing else on its output."""
    for answer in run_all(reading(["--data-dir", str(resting.data_dir.path), "--json"])):
        assert_words(answer, 0, 1)
        if answer.words[0] != "order":
            json.loads(answer.out)


# --- paths


#: The odd characters in one name, and what looks like an option.
ODD_NAMES = ("a b%2F#x?x=1@c:ä[red]", "-dash")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_paths(name: str) -> None:
    """A whole market runs, is read and stops in a directory of any name."""
    with short_directory() as place:
        where = f"--data-dir={place / name}"
        up = run("up", "--headless", "--duration", "1.5", "--makers", "1", where)
        assert_words(up, 0)
        assert (place / name / "appendonlydir").is_dir(), up
        assert [path.name for path in place.iterdir()] == [name]
        assert_words(run("status", where), 1)


def test_too_long_a_path() -> None:
    """A path too long for a socket is refused with a way out; nothing is made."""
    with short_directory() as place:
        deep = place / ("x" * 120)
        answer = run("up", "--headless", "--duration", "1", "--data-dir", str(deep))
        assert_words(answer, 2)
        assert not deep.exists()
        link = place / "l"
        deep.mkdir()
        link.symlink_to(deep)
        assert_words(run("up", "--headless", "--duration", "1", "--data-dir", str(link)), 0)


def test_a_foreign_directory() -> None:
    """A directory that holds something else is refused and left as it is."""
    with short_directory() as place:
        (place / "thesis.tex").write_text("mine")
        mode = place.stat().st_mode
        answer = run("up", "--headless", "--duration", "1", "--data-dir", str(place))
        assert_words(answer, 1, 2)
        assert [path.name for path in place.iterdir()] == ["thesis.tex"]
        assert place.stat().st_mode == mode


def test_data_directories_are_in_use(resting: ThrowawaySystem[ManagedServer]) -> None:
    """A second owner of a data directory is refused by name."""
    assert isinstance(resting.data_dir, DataDir)
    answer = run("up", "--headless", "--duration", "1", "--data-dir", str(resting.data_dir.path))
    assert_words(answer, 1)
    assert "in use" in answer.text
