"""No number is broken or cropped at any width, and columns stay while one watches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from rich.console import RenderableType

from mm.audit import audit
from mm.explain import explain
from mm.market import default_config
from mm.store import Snapshot, take_snapshot
from mm.terminal import (
    History,
    Parts,
    PositionsTable,
    audit_table,
    exposure_table,
    market_screen,
    processes_table,
    quotes_table,
    report_lines,
    status_line,
    story_table,
)
from tests.kit import Fake, World, fake_backend, small_config
from tests.terminal.drawing import STATUS, beat, drawn, huge, take, troubled

WIDTHS = (40, 60, 80, 120, 250)
WIDEST = 2_000
TABLES = (PositionsTable, quotes_table, exposure_table, processes_table)


def many_quoted(fake: Fake) -> World:
    """200 symbols, half of them quoted, some traded."""
    world = World(fake, small_config(200, limit=1_000, of_symbol={"reference_ticks": 1_234_567}))
    for name in world.names[::2]:
        world.propose(name, bid=1_234_566, ask=1_234_569)
    for name in world.names[:20:2]:
        world.trade(world.order("sell", 3, limit=1, symbol=name))
    world.scripts.commit(100)
    beat(world)
    return world


Make = Callable[[Fake], World]
each_system = pytest.mark.parametrize("make", [troubled, huge, many_quoted])


@cache
def taken(make: Make) -> Snapshot:
    """The snapshot of such a system, made once: nothing that draws changes it."""
    with fake_backend() as backend:
        return take(make(backend))


def numbers(lines: Iterable[str]) -> set[str]:
    """The words with a digit in them; ``left/placed`` counts as two."""
    words = {part for line in lines for word in line.split() for part in word.split("/")}
    return {word.strip("(),;:") for word in words if any(letter.isdigit() for letter in word)}


def assert_whole(thing: RenderableType) -> None:
    """At every width each line fits, and the numbers are those where everything has room."""
    whole = numbers(drawn(thing, WIDEST))
    for width in WIDTHS:
        lines = drawn(thing, width)
        shown = [line for line in lines if not line.startswith("not shown at")]
        assert numbers(shown) - whole == set(), width
        assert max(map(len, lines)) <= width
        # Prose that a console wraps by itself keeps the space at which it breaks.
        assert all(line == line.rstrip() for line in lines if len(line) < width - 20), width


@each_system
@pytest.mark.parametrize("table", TABLES)
def test_no_table_breaks_a_number(make: Make, table: Callable[..., Any]) -> None:
    """Each number in a table is whole, and each line fits, at every width and of every system."""
    assert_whole(table(taken(make)))


@each_system
def test_no_text_breaks_a_number(fake: Fake, make: Make) -> None:
    """Nor does an audit, a story, an execution report or a status line."""
    world = make(fake)
    name = world.names[0]
    order = world.order("sell", 1, symbol=name)
    world.trade(order)
    state = take(world).symbols[name]
    assert_whole(audit_table(audit(world.scripts)))
    assert_whole(story_table(explain(world.scripts, name)))
    assert_whole(report_lines(order, world.report(order), state.symbol))
    assert_whole(Parts(status_line(take(world), History(), STATUS)))


def screen(found: Snapshot, width: int, height: int = 40, history: History | None = None) -> str:
    """The live view as text."""
    history = history or History()
    return "\n".join(drawn(market_screen(found, history, STATUS, width, height), width))


@each_system
def test_no_screen_breaks_a_number(make: Make) -> None:
    """The symbols' lines, exposure, counts, fills and events of the live view have whole numbers.

    What the view shows less of on narrow screens is compared with the widest tables.
    """
    found = taken(make)
    known = numbers(line for table in TABLES for line in drawn(table(found), WIDEST))
    known |= numbers(screen(found, WIDEST, 400).splitlines())
    for width in WIDTHS:
        panes = screen(found, width).splitlines()
        left = [line for line in panes if not line.startswith("and ")]
        assert numbers(left) - known <= {"22:13:20Z", "22:13:25Z"}, width


@pytest.mark.parametrize("table", TABLES)
def test_what_is_left_out_is_named(table: Callable[..., RenderableType]) -> None:
    """Each title of the widest table is there at 40 columns, or named as not shown."""
    found = taken(troubled)
    titles = {"profit", "average cost", "position version", "placed", "ttl", "heard", "short"}
    wide = " ".join(" ".join(drawn(table(found), 250)).split())
    narrow = " ".join(" ".join(drawn(table(found), 40)).split())
    for title in titles:
        assert (title in wide) <= (title in narrow), title


def test_profit_is_left_out_last() -> None:
    """A symbol's profit is there wherever it has room beside the name."""
    found = taken(troubled)
    assert "profit" in drawn(PositionsTable(found), 40)[3]
    for width in range(15, 200):
        titles = titles_of(screen(found, width)).split()
        assert "profit" in titles, width
    assert "─ not shown: placed, lots, pv, qv ─" in screen(found, 40)
    assert "not shown: pv, qv ─" in screen(found, 60)


def test_columns_stay_while_one_watches(fake: Fake) -> None:
    """At 80x24 the default system has the same columns when new and after hours of trading."""
    world = World(fake, default_config())
    history = History()
    new = take_snapshot(world.scripts)
    for symbol in world.config.symbols:
        bid = symbol.reference_ticks
        world.propose(symbol.name, bid=bid, ask=bid + symbol.spread_ticks)
    found = take(world)
    traded = {
        name: replace(
            state,
            position=replace(
                state.position,
                net_lots=-100,
                cash_ticks=100 * state.symbol.reference_ticks + 123_456,
                cost_ticks=-100 * state.symbol.reference_ticks,
                position_version=12_345,
            ),
            fill_seq=12_345,
            quote_version=54_321,
        )
        for name, state in found.symbols.items()
    }
    late = replace(found, symbols=found.symbols | traded)
    titles = [titles_of(screen(one, 80, 24, history)) for one in (new, found, late, found, new)]
    columns = [line.split() for line in titles]
    assert columns == [columns[0]] * 5
    assert columns[0][-3:] == ["realised", "unreal.", "profit"]


def titles_of(text: str) -> str:
    """The line of the symbols' titles."""
    return next(line for line in text.splitlines() if line.startswith("symbol"))


def test_a_number_that_outgrows_its_column_moves_columns_once(fake: Fake) -> None:
    """When a number needs more room a column goes, and does not come and go with the number."""
    world = World(fake, default_config())
    history = History()
    found = take(world)
    name, state = next(iter(found.symbols.items()))
    position = replace(state.position, cash_ticks=123_456_789)
    grown = replace(found, symbols=found.symbols | {name: replace(state, position=position)})
    titles = [titles_of(screen(one, 80, 24, history)) for one in (found, grown, found, grown)]
    assert titles[0] != titles[1]
    assert titles[1] == titles[2] == titles[3]
    assert "not shown: ttl, pv, qv" in screen(found, 80, 24, history)
