"""The page of one symbol and the help, at the sizes that people have."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Group
from rich.text import Text

from mm.market import Fill, default_config
from mm.store import Snapshot
from mm.streams import lookalike
from mm.terminal.chart import BOTH, BOUGHT, QUOTED, SOLD, WINDOW_MS, price_chart
from mm.terminal.history import History
from mm.terminal.key_lines import key_lines
from mm.terminal.keys import SORTS, Typing, ViewState
from mm.terminal.live_screen import live_screen
from mm.terminal.symbol_page import symbol_page
from mm.terminal.symbol_source import QuotePoint, SymbolPast, SymbolSource
from tests.kit import Fake, World, make_symbol, small_config, symbol_names
from tests.kit.partitioned import Partitioned
from tests.terminal.drawing import STATUS, beat, drawn, huge, take, troubled

SIZES = [(80, 24), (120, 40), (200, 50)]
each_size = pytest.mark.parametrize(("width", "height"), SIZES)


def traded(fake: Fake, symbols: int = 8) -> World:
    """Quoted symbols, of which the first has traded on both sides for some seconds."""
    config = default_config() if symbols == 8 else small_config(symbols, limit=1_000)
    world = World(fake, config)
    beat(world)
    name = world.names[0]
    for step in range(6):
        for other in world.names if not step else [name]:
            bid = world.config.symbol(other).reference_ticks + step
            world.propose(other, bid=bid, ask=bid + 4, bid_lots=5, ask_lots=5)
        side = "sell" if step % 3 else "buy"
        world.trade(world.order(side, 2, symbol=name))  # type: ignore[arg-type]  # one of the two
        world.scripts.commit(100)
        fake.advance(1_500)
    return world


def lines(
    found: Snapshot,
    width: int,
    height: int,
    view: ViewState,
    past: SymbolPast | None = None,
    who: str = "ann",
) -> list[str]:
    """The whole screen, a line each."""
    history = History()
    history.add(found)
    return drawn(live_screen(found, history, STATUS, width, height, view, past, who), width)


VIEWS = {
    "market": ViewState(),
    "sorted": ViewState(sort="profit", symbol="AAPL"),
    "filtered": ViewState(filter="s", typing=Typing("/", "s")),
    "page": ViewState(symbol="AAPL", page=True),
    "no page": ViewState(symbol="NONE", page=True),
    "help": ViewState(help=True),
    "asked": ViewState(typing=Typing("p", "x" * 200)),
    "answered": ViewState(message="a long answer of many words " * 20),
}


@pytest.mark.parametrize("symbols", [8, 200])
def test_every_screen_has_the_size_of_the_terminal(fake: Fake, symbols: int) -> None:
    """At each size each screen has just as many lines, none is wider, and all has lookalikes.

    The last line says what keys can be pressed, or what is being typed.
    """
    world = traded(fake, symbols)
    found = take(world)
    for name, given in VIEWS.items():
        view = replace(given, symbol=world.names[0]) if given.symbol == "AAPL" else given
        past = SymbolSource(world.scripts, view.symbol).update(found) if view.page else None
        for width, height in [*SIZES, (40, 12), (20, 9), (10, 3), (80, 8)]:
            text = lines(found, width, height, view, past)
            assert len(text) == height, (name, width, height)
            assert all(lookalike(line).count("?") == line.count("?") for line in text), name
            if width >= 80 and height >= 24:
                keys = ("q quit", "Enter", "halt all")
                assert any(word in text[-1] for word in keys), (name, width, height)


@each_size
def test_the_page_says_what_matters(fake: Fake, width: int, height: int) -> None:
    """Quote with remaining sizes, position and limit, profit, queues, prices and story."""
    world = traded(fake)
    found = take(world)
    past = SymbolSource(world.scripts, "AAPL").update(found)
    text = "\n".join(lines(found, width, height, ViewState(symbol="AAPL", page=True), past))
    for words in (
        "─ AAPL ─",
        "bid 187.55  3 of 5 left",
        "ask 187.59  5 of 5 left",
        "granted",
        "net +4 of 100 lots long or short   -100 ──",
        "── +100",
        "profit +",
        "realised +0.16",
        "average cost 187.5",
        "long: does not wait",
        "─ prices ─",
        "─ story ─",
        "-> position 6, net +4",
        "now: position 6, net +4, AAPL-6",
        "Esc back",
        "p halt AAPL  r resume AAPL",
    ):
        assert words in text, words
    assert BOUGHT in text and SOLD in text and QUOTED in text
    assert "times since the line before" in text


def test_places_in_the_queues(fake: Fake) -> None:
    """A symbol that waits has its place and those before it, on either side."""
    world = World(fake, small_config(4, limit=15))
    for name in world.names:
        world.propose(name)
    found = take(world)
    text = "\n".join(drawn_page(found, "DDD"))
    assert "long: waits, place 3 of 3, after BBB CCC   short: waits, place 3 of 3" in text
    assert "no quote: omitted, no exposure is free for it" in text
    assert "long: waits, place 1 of 3   short: waits, place 1 of 3" in "\n".join(
        drawn_page(found, "BBB")
    )
    assert "long: does not wait   short: does not wait" in "\n".join(drawn_page(found, "AAA"))


def test_places_are_those_of_the_partition(fake: Fake) -> None:
    """The symbols of other partitions wait in queues of their own."""
    made = Partitioned(fake, small_config(8, limit=40, partitions=2))
    made.round()
    for world in made.worlds:
        for name in world.names:
            world.propose(name, bid_lots=30, ask_lots=30)
    found = take(made.root)
    last = made.worlds[1].names[-1]
    assert "long: waits, place 4 of 4, after" in "\n".join(drawn_page(found, last))


def drawn_page(found: Snapshot, name: str, past: SymbolPast | None = None) -> list[str]:
    """The page alone at 100x30."""
    return [line.plain for line in symbol_page(found, name, past, 100, 30)]


def test_what_stops_a_symbol_stands_on_its_page(fake: Fake) -> None:
    """A halt, its reason and who did it are on the page; so is why nothing newer was read."""
    world = troubled(fake)
    assert "HALTED sequence: expected 3 got 5" in "\n".join(drawn_page(take(world), "NVDA"))
    world.control("halted", "AAPL")
    found = take(world)
    text = "\n".join(drawn_page(found, "AAPL", SymbolPast("AAPL", trouble="no server")))
    assert "no quote: halted" in text
    assert "AAPL is halted, by " in text
    assert "prices and story are old: no server" in text


def test_nothing_on_a_usual_page_stands_out(fake: Fake) -> None:
    """A page without trouble has neither amber nor red, but for losses; a halt is in bold red."""

    def styles(world: World, name: str) -> set[str]:
        found = take(world)
        past = SymbolSource(world.scripts, name).update(found)
        lines = symbol_page(found, name, past, 120, 40)
        return {str(span.style) for line in lines for span in line.spans}

    usual = styles(traded(fake), "AAPL")
    assert not {style for style in usual if "yellow" in style or "bold red" in style}
    assert "bold reverse red" in styles(troubled(Fake(fake.clock)), "NVDA")


def test_the_past_of_another_symbol_is_not_shown(fake: Fake) -> None:
    """Just after a move to the next symbol its page has no prices of the one before."""
    world = traded(fake)
    past = SymbolSource(world.scripts, "AAPL").update(take(world))
    text = "\n".join(drawn_page(take(world), "MSFT", past))
    assert "no quote and no fill is known yet" in text and "AAPL" not in text


@pytest.mark.parametrize("width", [30, 40, 60, 80, 120])
def test_no_number_of_a_story_is_cropped(fake: Fake, width: int) -> None:
    """A step that is too long for a line goes on below, whole."""
    world = traded(fake)
    found = take(world)
    past = SymbolSource(world.scripts, "AAPL").update(found)
    text = [line.plain for line in symbol_page(found, "AAPL", past, width, 60)]
    story = text[next(at for at, line in enumerate(text) if "─ story" in line) + 1 :]
    words = " ".join(" ".join(story).split())
    assert "…" not in words
    for _, _, line in past.story[-3:]:
        assert line in words


@pytest.mark.parametrize(
    ("net", "bar"), [(0, "──┼──"), (1, "──┼━─"), (-50, "─━┼──"), (-100, "━━┼──")]
)
def test_the_position_on_its_bar(fake: Fake, net: int, bar: str) -> None:
    """Any position is visible, one at its limit fills its side, and long is at the right."""
    found = take(World(fake, small_config(1)))
    state = found.symbols["AAA"]
    position = replace(state.position, net_lots=net)
    found = replace(found, symbols={"AAA": replace(state, position=position)})
    for width in range(60, 200, 7):
        line = next(
            one for one in symbol_page(found, "AAA", None, width, 20) if "net " in one.plain
        )
        assert line.cell_len <= width
        if width < 80:
            continue
        short, long = line.plain.rpartition("-100 ")[2].partition(" +100")[0].split("┼")
        assert len(short) == len(long)
        for side, wanted in ((short, bar[:2]), (long, bar[3:])):
            assert ("━" in side, "─" in side) == ("━" in wanted, "─" in wanted or net == 1)


def chart(*parts: QuotePoint | Fill, now_ms: int = 1_000, columns: int = 10) -> list[str]:
    """A chart of five rows without its labels and times."""
    quotes = tuple(one for one in parts if isinstance(one, QuotePoint))
    fills = tuple(one for one in parts if isinstance(one, Fill))
    symbol = make_symbol()
    drawn_lines = price_chart(SymbolPast("AAA", quotes, fills), symbol, now_ms, columns + 5, 6)
    return [line.plain[5:].ljust(columns) for line in drawn_lines[:-1]]


def fill(ts_ms: int, side: str, ticks: int) -> Fill:
    """A fill at an instant."""
    return Fill.parse("AAA-1", f"{side} 1 {ticks} c1 o1 AAA-1 {ts_ms}")


def test_a_quote_fills_the_chart_while_it_stands() -> None:
    """Each quote stands from its instant to the next one, from its ask down to its bid."""
    drawn_lines = chart(
        QuotePoint(0, 102, 104), QuotePoint(500, 100, 102), QuotePoint(800, None, None)
    )
    assert drawn_lines == ["░░░░░     ", "░░░░░     ", "░░░░░░░░  ", "     ░░░  ", "     ░░░  "]


def test_fills_stand_on_the_chart() -> None:
    """A buy points up, a sell down, both in one place are marked as both."""
    drawn_lines = chart(
        QuotePoint(0, 100, 104),
        fill(0, "buy", 104),
        fill(150, "sell", 100),
        fill(950, "sell", 102),
        fill(960, "buy", 102),
    )
    assert [line[0] for line in drawn_lines] == [BOUGHT, *QUOTED * 4]
    assert drawn_lines[4][1] == SOLD and drawn_lines[2][9] == BOTH
    past = SymbolPast("AAA", (), (fill(0, "buy", 104),))
    marked = [line for line in price_chart(past, make_symbol(), 1_000, 40, 6) if BOUGHT in line]
    assert [line.style for line in marked] == [""], "a fill is not as quiet as a label"


def test_a_chart_shows_the_last_minutes() -> None:
    """What is older than the window is left out, unless there is nothing newer."""
    old = QuotePoint(0, 500, 510)
    ended = QuotePoint(1, None, None)
    new = QuotePoint(WINDOW_MS * 2, 100, 104)
    assert chart(old, ended, new, now_ms=WINDOW_MS * 2 + 10)[0].endswith("░")
    symbol = make_symbol()
    labels = price_chart(SymbolPast("AAA", (old, ended, new)), symbol, WINDOW_MS * 2 + 10, 40, 6)
    assert "1.04" in labels[0].plain and "5.10" not in "".join(line.plain for line in labels)
    alone = price_chart(SymbolPast("AAA", (old, ended)), symbol, WINDOW_MS * 2, 40, 6)
    assert "5.10" in alone[0].plain
    # A quote from before the window that still stands in it is there from its beginning on.
    assert set(chart(QuotePoint(0, 100, 104), now_ms=WINDOW_MS * 2)) == {"░" * 10}


def test_one_price_and_extreme_prices(fake: Fake) -> None:
    """A chart of one price has one label; prices at their bounds keep within the width."""
    flat = price_chart(SymbolPast("AAA", (), (fill(0, "buy", 7),)), make_symbol(), 1_000, 40, 6)
    assert sum("0.07" in line.plain for line in flat) == 1
    world = huge(fake)
    found = take(world)
    for name in world.names:
        past = SymbolSource(world.scripts, name).update(found)
        for width in (20, 40, 80, 120):
            page = symbol_page(found, name, past, width, 40)
            assert max(line.cell_len for line in page) <= width


def test_the_key_line_shows_the_end_of_a_long_reason(fake: Fake) -> None:
    """What is typed last is always visible."""
    found = take(World(fake, small_config(3)))
    view = ViewState(typing=Typing("p", "because " * 20 + "THE END", "AAA"))
    (line,) = key_lines(found, view, 80, "ann")
    assert line.plain.startswith("halt AAA as ann? reason: …") and line.plain.endswith("THE END_")
    (short,) = key_lines(found, ViewState(typing=Typing("r")), 80, "ann")
    assert short.plain.startswith("resume all 3 symbols as ann? reason, if any: _   Enter does it")


def test_a_view_that_only_reads_offers_no_change(fake: Fake) -> None:
    """Without an operator no key that changes something is offered, and the help says why."""
    found = take(traded(fake))
    (line,) = key_lines(found, ViewState(), 120, "")
    assert "halt" not in line.plain and "resume" not in line.plain
    text = " ".join(" ".join(lines(found, 100, 30, ViewState(help=True), who="")).split())
    assert "p, r" in text and "this view only reads" in text


@each_size
def test_columns_stay_through_scrolling_and_sorting(fake: Fake, width: int, height: int) -> None:
    """Of 200 symbols each can be reached, and the titles stay where they are."""
    world = traded(fake, 200)
    found, history = take(world), History()
    history.add(found)
    titles, seen = set[str](), set[str]()
    for sort in SORTS:
        for name in [*world.names[::7], world.names[-1]]:
            view = ViewState(sort=sort, symbol=name)
            screen = drawn(live_screen(found, history, STATUS, width, height, view), width)
            titles |= {line for line in screen if line.startswith("symbol")}
            shown = [line.split()[0] for line in screen if line[:4].strip() in world.names]
            assert name in shown
            seen |= set(shown)
    assert len(titles) == 1
    assert seen == set(world.names)
    assert "profit" in titles.pop()


def test_the_chosen_line_is_in_reverse(fake: Fake) -> None:
    """The chosen symbol's line stands out without any colour."""
    world = traded(fake)
    view = ViewState(symbol="MSFT")
    screen = live_screen(take(world), History(), STATUS, 80, 24, view)
    assert isinstance(screen, Group)
    reverse = [one for one in screen.renderables if isinstance(one, Text) and one.style]
    assert [(line.plain.split()[0], line.style) for line in reverse] == [("MSFT", "reverse")]


def test_symbols_beyond_the_snapshot_are_counted(fake: Fake) -> None:
    """Of more symbols than are read the screen says how many there are."""
    world = World(fake, small_config(300, limit=1_000))
    found = take(world, max_symbols=250)
    text = "\n".join(lines(found, 80, 24, ViewState(symbol=symbol_names(300)[249])))
    assert "symbols above and 50 below, 0 of them quoted" in text
