"""What the screens and tables say: true, and loud only where a person is needed."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from decimal import Decimal

import pytest
from rich.console import Console

from mm.audit import audit
from mm.facts import totals
from mm.market import Report
from mm.store import Snapshot
from mm.terminal import (
    History,
    PositionsTable,
    RunStatus,
    audit_table,
    exposure_table,
    market_screen,
    quotes_table,
    report_lines,
    status_line,
)
from tests.kit import Fake, World, make_symbol, small_config
from tests.terminal.drawing import RELAXED, STATUS, beat, drawn, row, shown, take


def amber(found: Snapshot, status: RunStatus = STATUS, width: int = 120) -> list[str]:
    """What stands in amber or bold red on the screen; losses are in plain red."""
    console = Console(width=width, file=io.StringIO(), color_system="standard", force_terminal=True)
    screen = market_screen(found, History(), status, width, 40)
    return [
        segment.text
        for segment in console.render(screen)
        if segment.style
        and segment.style.color
        and (
            segment.style.color.name == "yellow"
            or (segment.style.bold and "red" in str(segment.style))
        )
    ]


def test_one_of_a_kind_is_not_many(fake: Fake) -> None:
    """What an audit has counted stands in the singular where it is one."""
    world = World(fake, small_config(1))
    world.propose("AAA")
    world.trade(world.order("sell", 1))
    said = "\n".join(drawn(audit_table(audit(world.scripts)), 200))
    assert "1 quote event," in said
    assert "1 symbol, 1 fill\n" in said
    assert "2 budgets" in said


def test_a_report_for_people_has_a_time_with_its_zone(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Milliseconds and truth values are for programs; the reason is explained."""
    world = World(fake, small_config(1))
    order = world.order("sell", 1)
    report = Report("o1", "canceled", "no_quote", 0, 0, "", "", True, 1_769_860_800_123)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    said = "\n".join(drawn(report_lines(order, report, make_symbol()), 120))
    monkeypatch.undo()
    time.tzset()
    assert said.startswith("canceled: nothing was traded of sell 1 AAA at 0.01, 21:00:00 JST")
    assert "why: the symbol has no quote on the side the order needs" in said
    assert "sent before: this is its first outcome" in said
    assert "123" not in said


def test_a_mode_stands_in_place_of_the_placement(fake: Fake) -> None:
    """A symbol that an operator has halted is not called omitted or granted, on any screen."""
    world = World(fake, small_config(3))
    beat(world)
    for name in world.names:
        world.propose(name, bid_lots=1, ask_lots=1)
    world.control("halted", "AAA")
    world.control("reducing", "BBB")
    found = take(world)
    lines = [line.split()[:2] for line in drawn(quotes_table(found), 100)]
    for name, word in (("AAA", "halted"), ("BBB", "reducing"), ("CCC", "granted")):
        assert [name, word] in lines
        assert word in row(shown(world), name)
    world.control("halted")
    assert ["CCC", "halted"] in [line.split()[:2] for line in drawn(quotes_table(take(world)), 100)]


def test_the_status_line_counts_what_operators_have_halted(fake: Fake) -> None:
    """Halts by operators and after integrity errors are both in the line, and not amber."""
    world = World(fake, small_config(4))
    beat(world)

    def said() -> str:
        return status_line(take(world), History(), STATUS)

    assert "  halted 0  " in said()
    world.control("halted", "AAA", "BBB")
    assert "  halted 2  " in said()
    assert not any("halted" in text for text in amber(take(world)))
    world.client.hset(world.keys.member("position:*", "CCC"), "halted", "a gap")
    assert "  HALTED CCC  halted 2  " in said()
    world.control("halted")
    assert "  halted 4  " in said()


def test_amber_is_for_what_needs_a_person(fake: Fake) -> None:
    """Full budgets, reductions, restarts and fills in flight are usual, and none stands out."""
    world = World(fake, small_config(3, limit=15))
    for name in world.names:
        world.propose(name)
    world.trade(world.order("sell", 2))
    beat(world)
    fake.advance(500)
    notes = ("00:00:01Z maker-1 died (signal 9): restart 1 at once",)
    busy = replace(STATUS, restarts={"exchange-1": 2}, notes=notes)
    assert amber(take(world), busy) == []
    fake.advance(1_500)
    assert amber(take(world), busy) == ["exchange 0 ms state 2.0 s"]
    fake.advance(27_000)
    late = amber(take(world))
    assert "silent" in late
    assert any("━" in text or "╸" in text for text in late), "a renewal is overdue"
    world.client.hset(world.keys.member("position:*", "AAA"), "halted", "a gap")
    assert "HALTED AAA" in amber(take(world))
    assert any("RELAXED" in text for text in amber(take(world), RELAXED))


def test_a_freeze_that_ends_by_itself_needs_nobody(fake: Fake) -> None:
    """A freeze is amber only when it lasts until an operator resumes the symbol."""
    for freeze_ms, words in ((60_000, []), (0, ["frozen"])):
        market = small_config(
            1, protection_freeze_ms=freeze_ms, of_symbol={"protection_lots": 1}, limit=100
        )
        world = World(Fake(fake.clock), market)
        beat(world)
        world.propose("AAA")
        world.trade(world.order("sell", 5))
        world.scripts.commit(10)
        found = take(world)
        assert found.symbols["AAA"].frozen
        assert [text for text in amber(found) if "lag" not in text] == words


def test_a_quote_that_ended_is_not_called_granted(fake_world: World) -> None:
    """With no maker the quotes expire: none is counted, and none is called granted or reduced."""
    for name in fake_world.names:
        fake_world.propose(name)
    fake_world.advance(30_000)
    table = "\n".join(drawn(quotes_table(take(fake_world)), 80))
    assert "0 active of 2 symbols" in table
    assert "granted" not in table and "reduced" not in table
    assert "granted" not in shown(fake_world)


def test_fills_of_symbols_that_are_not_shown(fake: Fake) -> None:
    """A fill of a symbol without a line has its price in decimals, as the others."""
    world = World(fake, small_config(30, limit=10_000))
    for name in world.names:
        world.propose(name, bid=12_345, ask=12_347)
    world.trade(world.order("sell", 1, symbol="S30"))
    text = shown(world, 120, max_symbols=5)
    assert "S30-1 sell 1 @ 123.45" in text
    assert "ticks" not in text


def test_a_halt_of_a_symbol_without_a_line(fake: Fake) -> None:
    """A halt is shown though the screen has no room for its symbol."""
    world = World(fake, small_config(30, limit=10_000))
    world.client.hset(world.keys.member("position:*", "S30"), "halted", "a gap")
    assert "HALTED S30 a gap" in shown(world, max_symbols=5)


def test_symbols_without_a_line_are_counted_with_their_quotes(fake: Fake) -> None:
    """The screen says how many symbols are not shown, and how many of these are quoted."""
    world = World(fake, small_config(30, limit=10_000))
    for name in world.names[10:]:
        world.propose(name)
    text = shown(world, height=24)
    listed = [line.split()[0] for line in text.splitlines() if line.split()[0] in world.names]
    assert listed == world.names[10 : 10 + len(listed)]
    more, quoted = 30 - len(listed), 20 - len(listed)
    assert f"and {more} more symbols, {quoted} of them quoted" in text


def test_reservations_are_shown(fake: Fake) -> None:
    """The exposure table lists what each quote reserves; together that is what is used."""
    world = World(fake, small_config(3, limit=15))
    for name in world.names:
        world.propose(name, ask_lots=2)
    lines = drawn(exposure_table(take(world)), 80)
    rows = [line.split() for line in lines if line.split()[:1] and line.split()[0] in world.names]
    assert [cells[:4] for cells in rows] == [
        ["AAA", "10", "2", "AAA-1"],
        ["BBB", "5", "2", "BBB-1"],
        ["CCC", "0", "2", "CCC-1"],
    ]
    assert "Reservations: 3 of 3 symbols" in lines
    assert "waiting for long: BBB CCC" in lines


def test_a_mark_says_what_it_is(fake_world: World) -> None:
    """A mark names its source, and so explains why it changes when the quote has ended."""
    fake_world.propose("AAA", bid=98, ask=105)
    fake_world.trade(fake_world.order("sell", 4))
    fake_world.scripts.commit(10)
    text = "\n".join(drawn(PositionsTable(take(fake_world)), 120))
    assert "1.015 quote" in text and "1.00 reference" in text
    assert "Profit is at the mark" in text
    fake_world.advance(30_000)
    assert "0.98 last" in "\n".join(drawn(PositionsTable(take(fake_world)), 120))


def test_the_last_row_is_the_total(fake_world: World) -> None:
    """What all symbols have earned, realised and not, is their exact sum, as in the view."""
    for name in ("AAA", "BBB"):
        fake_world.propose(name, bid=98, ask=105)
        fake_world.trade(fake_world.order("sell", 4, symbol=name))
        fake_world.trade(fake_world.order("buy", 1, 105, symbol=name))
        fake_world.scripts.commit(10)
        fake_world.propose(name, bid=96, ask=101)
    found = take(fake_world)
    text = "\n".join(drawn(PositionsTable(found), 160))
    total = row(text, "TOTAL")
    rows = [row(text, name) for name in ("AAA", "BBB")]
    for back in (-5, -4, -3, -2):
        # The last column of a symbol is its version, which a total has not.
        sums = sum(Decimal(one[back - 1]) for one in rows)
        assert Decimal(total[back]) == sums != 0
    assert Decimal(total[-1]) == Decimal(totals(found)[0].total)


def test_the_average_cost_stands_beside_the_position(fake_world: World) -> None:
    """The average cost of the open lots is in the table and, where there is room, in the view."""
    for bid, lots in ((98, 1), (97, 1)):
        fake_world.propose("AAA", bid=bid, ask=101)
        fake_world.trade(fake_world.order("sell", lots))
        fake_world.scripts.commit(10)
    assert row("\n".join(drawn(PositionsTable(take(fake_world)), 120)), "AAA")[3] == "0.975"
    assert "0.975" in row(shown(fake_world, 160), "AAA")
