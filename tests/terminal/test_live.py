"""The loop that shows a running system: frames or status lines, and when it ends."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from rich.console import Console

from mm.errors import SystemRefused, Unavailable
from mm.facts import Stoppage
from mm.store import Keys, Snapshot, take_snapshot
from mm.terminal import Controls, LiveView, RunStatus, SnapshotSource, run_watch
from mm.terminal.keys import ModeRequest
from tests.kit import Fake, World, small_config

STATUS = RunStatus("valkey 9.1.2", notes=("12:00:00 maker-1 died",))


class StubSource(SnapshotSource):
    """A source whose snapshots are given; None stands for a server that does not answer."""

    def __init__(self, found: list[Snapshot | None]) -> None:
        super().__init__("unix:///nowhere/redis.sock", Keys())
        self.trouble = "no server answers"
        self.left: Iterator[Snapshot | None] = iter(found)

    def snapshot(self, recent: int = 0, max_symbols: int = 0) -> Snapshot | None:
        """The next given one; AssertionError after the last."""
        return next(self.left)


Pressed = tuple[list[str], ...]


class Typist:
    """A keyboard at which the given keys are pressed, those of one text within one frame."""

    def __init__(self, *pressed: list[str]) -> None:
        self.left = list(pressed)

    def __enter__(self) -> Typist:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def ready(self) -> bool:
        """Keys can always come."""
        return True

    def read(self, timeout_s: float) -> list[str]:
        """The next keys."""
        return self.left.pop(0) if self.left else []


class Watched:
    """A view with keys over given snapshots, and what it shows and does."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        found: Sequence[Snapshot | None],
        *pressed: list[str],
        controls: Controls | None = None,
    ) -> None:
        self.typist, self.said = Typist(*pressed), list[str]()
        monkeypatch.setattr("mm.terminal.live.Keyboard", lambda: self.typist)
        self.source = StubSource(list(found))
        self.out = io.StringIO()
        console = Console(file=self.out, force_terminal=True, width=120, height=40)
        self.view = LiveView(self.source, console, True, lambda: STATUS, self.said.append, controls)

    def run(self, frames: int) -> list[str]:
        """The pictures of so many frames at most, the first of them with the empty screen."""
        left = [True] * frames
        self.view.run(threading.Event(), lambda: not left or not left.pop())
        return self.out.getvalue().split("\x1b[H")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mm.terminal.live.FRAME_S", 0.0)


def shown(source: StubSource, frames: int, full_screen: bool) -> str:
    """What the view writes in so many frames."""
    left = [True] * frames
    console = Console(file=io.StringIO(), force_terminal=full_screen, width=120, height=40)
    view = LiveView(source, console, full_screen, lambda: STATUS)
    view.run(threading.Event(), lambda: not left or not left.pop())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_status_lines_are_printed_now_and_then(
    fake_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several frames in a row one is a line; each is one when the interval is 0."""
    found = take_snapshot(fake_world.scripts)
    assert shown(StubSource([found] * 3), 3, False).count("lag") == 1
    monkeypatch.setattr("mm.terminal.live.STATUS_S", 0.0)
    assert shown(StubSource([found] * 3), 3, False).count("lag") == 3


@pytest.mark.parametrize(("stops", "snapshots"), [((), 1), ((Stoppage("x", "it stops"),), 3)])
def test_lines_need_few_snapshots(
    fake_world: World, stops: tuple[Stoppage, ...], snapshots: int
) -> None:
    """Between two status lines most frames ask the server nothing, unless something stops."""
    found, status = take_snapshot(fake_world.scripts), replace(STATUS, stoppages=stops)
    source, left = StubSource([found] * 3), [True] * 3
    view = LiveView(source, Console(file=io.StringIO()), False, lambda: status)
    view.run(threading.Event(), lambda: not left or not left.pop())
    assert len(list(source.left)) == 3 - snapshots


def test_each_frame_is_drawn_with_what_stands_beside_it(fake_world: World) -> None:
    """The full screen shows the symbols, the server and the notes."""
    text = shown(StubSource([take_snapshot(fake_world.scripts)]), 1, True)
    for word in ("AAA", "valkey 9.1.2", "maker-1 died"):
        assert word in text


@pytest.mark.parametrize("full_screen", [True, False])
def test_a_silent_server_is_shown_and_asked_again(fake_world: World, full_screen: bool) -> None:
    """Without a snapshot the reason is shown, and the next frame is tried."""
    text = shown(StubSource([None, take_snapshot(fake_world.scripts)]), 2, full_screen)
    assert "no server answers" in text
    assert full_screen is ("AAA" in text)


def test_the_last_snapshot_stays_for_a_while(
    fake_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a server fails over the screen keeps what it showed, under what is wrong."""
    found = take_snapshot(fake_world.scripts)
    gone = replace(STATUS, stoppages=(Stoppage("server", "no server answers: gone"),))
    for kept_s, is_kept in ((60.0, True), (0.0, False)):
        monkeypatch.setattr("mm.terminal.live.KEPT_S", kept_s)
        statuses, left, out = iter([STATUS, gone]), [True] * 2, io.StringIO()
        console = Console(file=out, width=100, height=30, force_terminal=True)
        view = LiveView(StubSource([found, None]), console, True, lambda: next(statuses))  # noqa: B023  # it is called within the turn
        view.run(threading.Event(), lambda: not left or not left.pop())  # noqa: B023  # as above
        *_, last = out.getvalue().split("\x1b[H")
        assert ("AAA" in last, "TROUBLE: no server answers: gone" in last) == (is_kept, is_kept)


def test_a_set_stop_shows_nothing_more() -> None:
    """Once ``stop`` is set no snapshot is taken, and ``over`` is not called."""
    stop = threading.Event()
    stop.set()
    view = LiveView(StubSource([]), Console(file=io.StringIO()), False, lambda: STATUS)
    view.run(stop, lambda: pytest.fail("a frame began"))


def test_watch_needs_something_to_show() -> None:
    """``mm watch`` on a server that does not answer says so instead of an empty screen."""
    with pytest.raises(Unavailable, match="no server answers"):
        run_watch(StubSource([None]), Console(file=io.StringIO()), threading.Event())


def test_beginning_and_end_of_trouble_are_said(
    fake_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stops trading is said when it has lasted, and again when it is over."""
    monkeypatch.setattr("mm.facts.trouble_log.SETTLED_S", 0.0)
    monkeypatch.setattr("mm.terminal.live.STATUS_S", 0.0)
    found = take_snapshot(fake_world.scripts)
    refusing = replace(STATUS, stoppages=(Stoppage("memory", "memory is full"),))
    statuses = iter([STATUS, refusing, refusing, STATUS])
    left, said = [True] * 4, list[str]()
    view = LiveView(
        StubSource([found] * 4),
        Console(file=io.StringIO()),
        False,
        lambda: next(statuses),
        said.append,
    )
    view.run(threading.Event(), lambda: not left or not left.pop())
    begin, end = said
    assert begin == "TROUBLE: memory is full"
    assert end.startswith("over after ") and end.endswith(" s: memory is full")


def test_q_ends_the_view(fake_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """After `q` no frame follows."""
    watched = Watched(monkeypatch, [take_snapshot(fake_world.scripts)] * 9, [], ["x", "q", "s"])
    watched.run(9)
    assert len(list(watched.source.left)) == 8


def test_keys_draw_the_same_snapshot(fake_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys change the picture and take no snapshot; what follows in one go sees their effect."""
    found = take_snapshot(fake_world.scripts)
    watched = Watched(monkeypatch, [found] * 2, [], ["/", "b", "b", "enter", "down"])
    *_, by_key, last = watched.run(2)
    for picture in (by_key, last):
        assert "1 of 2 symbols match bb" in picture
    assert watched.view._view.symbol == "BBB"
    assert not list(watched.source.left)


def test_modes_are_changed_once_and_said(
    fake_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an operator asks for is done once, its result stands on the screen and in the notes."""
    asked: list[ModeRequest] = []

    def act(request: ModeRequest) -> list[str]:
        asked.append(request)
        return ["all symbols: active -> halted", "2 quotes withdrawn"]

    found = take_snapshot(fake_world.scripts)
    pressed: Pressed = ([], ["p", *"news", "enter"], ["?"])
    watched = Watched(monkeypatch, [found] * 4, *pressed, controls=Controls("ann", act))
    pictures = watched.run(4)
    assert asked == [ModeRequest("p", "", "news")]
    assert any("all symbols: active -> halted; 2 quotes withdrawn" in one for one in pictures)
    assert "2 quotes withdrawn" not in pictures[-1]
    assert watched.said == ["ann: all symbols: active -> halted; 2 quotes withdrawn"]


@pytest.mark.parametrize("error", [Unavailable("no server"), SystemRefused("not this one")])
def test_what_cannot_be_changed_is_said(
    fake_world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """An error of a change is a sentence, and the view goes on."""

    def act(request: ModeRequest) -> list[str]:
        raise error

    found = take_snapshot(fake_world.scripts)
    pressed: Pressed = ([], ["enter"], ["r", "enter"])
    watched = Watched(monkeypatch, [found] * 4, *pressed, controls=Controls("ann", act))
    pictures = watched.run(4)
    assert watched.said == [f"ann: resume AAA: not done: {error}"]
    assert f"not done: {error}" in pictures[-1]


def test_a_page_reads_only_while_it_is_open(
    fake_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The past of a symbol is read once a frame while its page is open, and by no key."""
    read: list[str] = []

    class Source:
        def __init__(self, scripts: object, symbol: str) -> None:
            self.symbol, self.past = symbol, None

        def update(self, snapshot: Snapshot) -> None:
            read.append(self.symbol)

    monkeypatch.setattr("mm.terminal.live.SymbolSource", Source)
    found = take_snapshot(fake_world.scripts)
    pressed: Pressed = ([], ["enter"], [], ["down"], ["escape"], [])
    watched = Watched(monkeypatch, [found] * 6, *pressed)
    watched.run(6)
    assert read == ["AAA", "AAA", "BBB"]


def test_many_symbols_are_read_half_as_often(fake: Fake) -> None:
    """A snapshot of 200 symbols is taken at every second frame."""
    found = take_snapshot(World(fake, small_config(200)).scripts)
    few = take_snapshot(World(Fake(fake.clock), small_config(8)).scripts)
    for snapshot, taken in ((found, 3), (few, 6)):
        source, left = StubSource([snapshot] * 6), [True] * 6
        console = Console(file=io.StringIO(), force_terminal=True, width=80, height=24)
        view = LiveView(source, console, True, lambda: STATUS)
        view.run(threading.Event(), lambda: not left or not left.pop())  # noqa: B023  # it is called within the turn
        assert 6 - len(list(source.left)) == taken


def test_without_keys_the_screen_has_no_line_for_them(
    fake_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where standard input is no terminal the screen is the market alone."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    text = shown(StubSource([take_snapshot(fake_world.scripts)]), 1, True)
    assert "AAA" in text and "quit" not in text
