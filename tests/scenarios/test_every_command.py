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
from contextlib import contextmanager
from pathlib import Path

import pytest

import mm
from mm.cli.main import COMMANDS
from mm.host import DataDir, ManagedServer, ThrowawaySystem
from mm.market import default_config
from tests.kit import short_directory
from tests.kit.answers import (
    ENCODED,
    FULL,
    PASSWORD,
    PATIENCE_S,
    READING,
    TRACE,
    Answer,
    Cell,
    assert_words,
    reading,
    run,
    run_all,
    some,
)
from tests.kit.commands import MM
from tests.kit.fake_server import MOODS, fake_server

pytestmark = [pytest.mark.server, pytest.mark.slow]

#: The commands that take part in a system until they are stopped.
JOINING = ("exchange", "state", "archivist", "maker", "publisher", "balancer")
#: The commands that are neither: they need no system, or make one.
OTHERS = ("up", "watch", "config", "bench", "chaos", "flow", "acl", "tape", "rule", "serve")
#: The commands that keep a system: they need none that runs.
KEEPING = ("backup", "restore", "doctor")
#: The commands that change how a running system trades: command -> further arguments.
CONTROLLING = {
    "halt": ["AAPL", "--why", "a test"],
    "reduce": ["--all"],
    "flatten": ["AAPL"],
    "repair": ["AAPL"],
    "resume": ["AAPL", "MSFT"],
}
#: The default configuration as a file.
DEFAULTS = Path(mm.__file__).parent / "market" / "default.toml"


def changing(where: list[str]) -> list[Cell]:
    """Every command that changes a running system, or compares with it."""
    cells: list[Cell] = [([name, *words, *where], {}) for name, words in CONTROLLING.items()]
    for words in (["show"], ["diff", str(DEFAULTS)], ["apply", str(DEFAULTS)]):
        cells.append((["config", *words, *where], {}))
    return cells


def test_every_command_is_walked() -> None:
    """A new command is in one of the lists, so that the walks below reach it."""
    assert {*READING, *JOINING, *OTHERS, *CONTROLLING, *KEEPING} == set(COMMANDS)


@pytest.fixture(scope="module")
def resting() -> Iterator[ThrowawaySystem[ManagedServer]]:
    """A system with keys, a server, and no process."""
    with ThrowawaySystem(ManagedServer) as system:
        system.start(default_config())
        yield system


# --- servers that do not serve


@pytest.mark.parametrize("mood", MOODS)
def test_a_server_in_a_bad_mood(mood: str) -> None:
    """A command that reads or controls ends with status 1 and words, whatever the server says."""
    with short_directory() as place, fake_server(place / "s", mood) as url:
        turn, where = list(MOODS).index(mood), ["--redis-url", url]
        for answer in run_all(some(reading(where), turn, 4) + some(changing(where), turn, 3)):
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


def test_modes_of_a_system_that_cannot_be_changed(
    resting: ThrowawaySystem[ManagedServer],
) -> None:
    """A command that changes how a system trades says why it cannot, and changes nothing."""
    for where in (
        ["--data-dir", str(resting.data_dir.path), "--prefix", "{no}"],
        ["--redis-url", "redis://127.0.0.1:1/0"],
    ):
        for answer in run_all(changing(where)):
            assert_words(answer, 1)
    assert not resting.scripts.client.keys("{no}*")


def test_modes_while_nothing_runs(resting: ThrowawaySystem[ManagedServer]) -> None:
    """A mode is set and ended on a system at rest, as JSON and for people, at any width."""
    where = ["--data-dir", str(resting.data_dir.path)]
    for name, words in CONTROLLING.items():
        answer = run(name, *words, "--json", *where)
        assert_words(answer, 0)
        assert "changes" in json.loads(answer.out) or name == "repair", answer
    for words in (["show"], ["diff", str(DEFAULTS)], ["apply", str(DEFAULTS)]):
        answer = run("config", *words, "--json", *where)
        assert_words(answer, 0)
        assert json.loads(answer.out)["config_version"] == 1
    answer = run("resume", "--all", *where, env={"COLUMNS": "40", "PYTHONIOENCODING": "ascii"})
    assert_words(answer, 0)
    assert "all symbols: reducing -> active" in answer.text


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


def test_data_directories_are_in_use(resting: ThrowawaySystem[ManagedServer]) -> None:
    """A second owner of a data directory is refused by name."""
    assert isinstance(resting.data_dir, DataDir)
    answer = run("up", "--headless", "--duration", "1", "--data-dir", str(resting.data_dir.path))
    assert_words(answer, 1)
    assert "in use" in answer.text
