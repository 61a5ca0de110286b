"""Keys in a real terminal: `mm up` and `mm watch` as a person drives them, and how they end."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator

import pytest

from mm.store import Keys
from tests.kit.running import RunningSystem
from tests.terminal.pseudo import Terminal

pytestmark = pytest.mark.server

DOWN = "\x1b[B"
Run = Callable[..., Terminal]


@pytest.fixture
def run(system: RunningSystem) -> Iterator[Run]:
    """Starts a command on the system in a terminal of 100x30; all are ended with the test."""
    started: list[Terminal] = []

    def start(command: str, *words: str, stdin: int | None = None, **environment: str) -> Terminal:
        arguments = [command, "--data-dir", str(system.data_dir), *words]
        terminal = Terminal(100, 30, arguments, system.leash, stdin, **environment)
        started.append(terminal)
        return terminal

    yield start
    for terminal in started:
        terminal.close()


def modes(system: RunningSystem) -> dict[str, tuple[str, str, str]]:
    """The trading modes that are set: mode, who and why by symbol."""
    found = system.status()["modes"]
    return {one["symbol"]: (one["mode"], one["who"], one["why"]) for one in found}


def test_a_person_at_the_keys_of_up(system: RunningSystem, run: Run) -> None:
    """Order, filter, page, halt with a reason, resume, help and the end, all by keys."""
    up = run("up", "--rate", "100", "--who", "ann")
    up.shows("AAPL", "granted", "q quit", "p halt all")
    assert up.has_keys
    up.press("ss")
    up.shows("quotes and positions by |net|")
    up.press("/us")
    up.shows("3 of 8 symbols match us", "/ us_")
    up.press("x\x7fd\r")
    up.shows("3 of 8 symbols match usd", "filter usd")
    up.press("\x1b")
    up.shows("AAPL", "/ filter  ")
    up.press("sss/aap\r\r")
    up.shows("─ AAPL ─", "left", "net ", "─ prices ─", "─ story ─", "-> ", "p halt AAPL")
    up.press("p")
    up.shows("halt AAPL as ann? reason: _")
    up.press("\r")
    up.shows("type the reason first")
    assert modes(system) == {}
    up.press("bad news\r")
    up.shows("AAPL: active -> halted, neither quoted nor traded", "no quote: halted")
    assert modes(system) == {"AAPL": ("halted", "ann", "bad news")}
    up.press("r\r")
    up.shows("AAPL: halted -> active, quoted and traded")
    assert modes(system) == {}
    up.shows("lots long or short", "left", "granted")
    up.press("?")
    up.shows("─ keys ─", "the end, as Ctrl-C")
    up.press("\x1b")
    up.shows("─ story ─")
    up.press("\x1b")
    up.shows("─ processes ─")
    up.press("pall\r")
    up.shows("all symbols: active -> halted", "quotes 0 of 8")
    assert modes(system)["*"] == ("halted", "ann", "all")
    up.press("r\r")
    up.shows("all symbols: halted -> active")
    up.press("q")
    assert up.end() == 0
    assert up.restored()
    text = up.written.decode()
    assert "stopping in order" in text and "audit: ok" in text and "Traceback" not in text


def test_the_keys_of_watch_change_nothing(system: RunningSystem, run: Run) -> None:
    """`mm watch` has the same pages; `p` and `r` name the commands, and nothing is changed."""
    system.start()
    before = system.status()
    watch = run("watch")
    watch.shows("AAPL", "granted", "q quit")
    assert "p halt" not in watch.read()
    watch.press("p")
    watch.shows("this view only reads; `mm halt --all --why REASON` does it")
    watch.press(f"{DOWN}{DOWN}\r")
    watch.shows("─ MSFT ─", "─ story ─")
    watch.press(DOWN)
    watch.shows("─ NVDA ─")
    watch.press("r")
    watch.shows("this view only reads; `mm resume NVDA` does it")
    watch.press("?")
    watch.shows("p, r", "this view only reads")
    watch.press("q")
    assert watch.end() == 0
    assert watch.restored()
    assert modes(system) == {}
    assert system.status()["symbols"] == before["symbols"]
    system.trades_on()


@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM", "SIGKILL of children"])
def test_the_terminal_is_as_before(system: RunningSystem, run: Run, how: str) -> None:
    """However `mm up` ends, the terminal has its screen, its cursor, lines and echo again.

    Its view goes on while its processes are killed, and says that they are back.
    """
    up = run("up", "--rate", "100")
    up.shows("granted", "q quit")
    assert up.has_keys and not up.restored()
    if how == "SIGKILL of children":
        system.all_live()
        os.kill(system.pids()["exchange-1"], signal.SIGKILL)
        up.shows("exchange-1 died → back within ", " s")
        os.kill(system.server_pid(), signal.SIGKILL)
        up.shows("the server is back after")
        up.press("?")
        up.shows("─ keys ─")
        assert up.has_keys
    if how == "SIGTERM":
        up.process.send_signal(signal.SIGTERM)
    else:
        up.press("\x03")
    assert up.end() == 0
    assert up.restored()
    assert "Traceback" not in up.written.decode()


def test_an_error_leaves_a_terminal_as_it_was(system: RunningSystem, run: Run) -> None:
    """When `mm up` ends with an error, the terminal is restored before the error is printed."""
    up = run("up")
    up.shows("granted", "q quit")
    system.all_live()
    away = system.data_dir.with_name(f"{system.data_dir.name}-away")
    system.data_dir.rename(away)
    system.data_dir.mkdir()
    assert up.end() == 1
    shutil.rmtree(away)
    assert up.restored()
    after = up.written.decode().rpartition("\x1b[?1049l")[2]
    assert "it was removed or replaced while the system ran" in " ".join(after.split())
    assert "Traceback" not in after


def test_keys_reach_every_partition(system: RunningSystem, run: Run) -> None:
    """Of a system with partitions `p` halts all and says where; a page's, only its partition's."""
    up = run("up", "--partitions", "3", "--rate", "90")
    up.shows("AAPL", "granted", "partition", timeout_s=60)
    prefixes = [Keys().partition(number).prefix for number in range(3)]
    up.press("pnews\r")
    up.shows("all symbols: active -> halted", f"done in {' '.join(prefixes)}")
    assert modes(system)["*"][0] == "halted"
    up.press("r\r")
    up.shows("all symbols: halted -> active")
    up.press("/aapl\r\r")
    up.shows("─ AAPL ─", "─ story ─")
    up.press("pnews\r")
    text = up.shows("AAPL: active -> halted", "{mm-")
    assert sum(prefix in text for prefix in prefixes) == 1
    assert [*modes(system)] == ["AAPL"]
    os.kill(system.pids()["exchange-1.1"], signal.SIGKILL)
    up.press("\x1b\x1b")
    up.shows("exchange-1.1 died → back within")
    up.press("q")
    assert up.end() == 0
    assert up.restored()


def test_without_a_keyboard_the_view_is_as_ever(system: RunningSystem, run: Run) -> None:
    """Where standard input is no terminal no key is read, and nothing says that one could be."""
    system.start()
    nothing = os.open(os.devnull, os.O_RDONLY)
    watch = run("watch", stdin=nothing)
    os.close(nothing)
    text = watch.shows("AAPL", "granted", "live")
    assert "quit" not in text and not watch.has_keys
    watch.press("q")
    assert "AAPL" in watch.shows("AAPL")
    assert watch.process.poll() is None
    assert watch.interrupt() == 0


def test_an_ascii_terminal_without_colours(system: RunningSystem, run: Run) -> None:
    """With NO_COLOR and an ASCII encoding every page is in ASCII, and has no colour."""
    system.start()
    plain = {"NO_COLOR": "1", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    watch = run("watch", **plain)
    watch.shows("AAPL", "- quotes and positions -", "q quit", "^v Enter")
    watch.press("\r")
    watch.shows("- AAPL -", "- prices -", "- story -")
    watch.press("?")
    watch.shows("- keys -")
    watch.press("q")
    assert watch.end() == 0
    assert watch.written.isascii()
    for colour in (*range(30, 38), *range(40, 48), *range(90, 98)):
        assert f"[{colour}m".encode() not in watch.written
        assert f";{colour}m".encode() not in watch.written
