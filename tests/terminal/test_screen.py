"""The live view at any size, also of extreme systems."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Group

from mm.errors import SystemRefused
from mm.facts import Stoppage
from mm.market import Config, default_config
from mm.terminal import (
    History,
    PositionsTable,
    exposure_table,
    market_screen,
    processes_table,
    quotes_table,
    status_line,
)
from mm.terminal.history import REMEMBERED
from tests.kit import Fake, World, small_config, symbol_names
from tests.terminal.drawing import (
    RELAXED,
    STATUS,
    beat,
    drawn,
    empty,
    huge,
    many,
    row,
    shown,
    take,
    troubled,
)

WIDTHS = (10, 20, 40, 60, 71, 72, 80, 99, 100, 119, 120, 149, 150, 200)


@pytest.mark.parametrize("make", [empty, troubled, huge, many])
def test_no_line_is_wider_and_no_screen_higher_than_the_terminal(fake: Fake, make: Any) -> None:
    """At every size the screen fits, for each kind of system."""
    world = make(fake)
    notes = tuple(f"note {number} {'x' * 300}" for number in range(9))
    status = replace(RELAXED, notes=notes, restarts={"exchange-1": 3, "publisher-1": 0})
    found, history = take(world), History()
    history.add(found)
    sizes = {(80, height) for height in range(1, 41)}
    for width, height in sizes | {(width, height) for width in WIDTHS for height in (9, 24)}:
        lines = drawn(market_screen(found, history, status, width, height), width)
        assert len(lines) <= height, f"{width}x{height}: {len(lines)} lines"
        widest = max(lines, key=cell_len)
        assert cell_len(widest) <= width, f"{width}x{height}: {widest!r}"


@pytest.mark.parametrize("height", [1, 5, 24])
def test_relaxed_durability_stands_out_everywhere(fake_world: World, height: int) -> None:
    """Relaxed durability is in capitals at every height, whether by settings or configuration."""
    assert "durability RELAXED" in shown(fake_world, 60, height, RELAXED)
    line = status_line(take(fake_world), History(), RELAXED)
    assert "durability RELAXED: acknowledged orders may be lost (appendfsync everysec)" in line
    fake_world.client.hset(fake_world.keys.named("config"), "durability", "relaxed")
    assert "durability RELAXED" in shown(fake_world, 60, height)
    assert "RELAXED" in status_line(take(fake_world), History(), STATUS)


def test_strong_durability_is_said_and_status_keeps_silent(fake_world: World) -> None:
    """Strong durability is shown on the screen, and the status line has no warning."""
    assert "durability always" in shown(fake_world)
    line = status_line(take(fake_world), History(), STATUS)
    assert "RELAXED" not in line and "durability" not in line


def test_unknown_durability_is_a_warning(fake_world: World) -> None:
    """A durability that could not be read is not shown as the strong one."""
    unknown = replace(STATUS, weak=None)
    assert "durability UNKNOWN" in shown(fake_world, status=unknown)


def test_a_declared_durability_is_said(fake_world: World) -> None:
    """It is no warning, unless the settings show that it is wrong."""
    fake_world.client.hset(fake_world.keys.named("config"), "durability", "declared")
    hiding = replace(STATUS, weak=None)
    assert "durability declared" in shown(fake_world, status=hiding)
    assert "durability" not in status_line(take(fake_world), History(), hiding)
    assert "durability always" in shown(fake_world)
    assert "durability RELAXED" in shown(fake_world, status=RELAXED)


@pytest.mark.parametrize("height", [8, 24, 50])
def test_what_stops_trading_stands_out_everywhere(fake: Fake, height: int) -> None:
    """Trouble stands above halts and notes at every height, and in the status line."""
    refusing = Stoppage("memory", "the server refuses writes, so orders wait: memory")
    scarce = Stoppage("exposure", "no exposure is free for BBB", expected=True)
    status = replace(STATUS, stoppages=(refusing, scarce), notes=("12:00:00Z a note",))
    world = troubled(fake)
    text = shown(world, 100, height, status)
    assert "TROUBLE: the server refuses writes, so orders wait: memory" in text
    line = status_line(take(world), History(), status)
    assert "TROUBLE: the server refuses writes, so orders wait: memory" in line
    assert "no exposure is free for BBB" in line
    assert "TROUBLE: no exposure" not in line
    assert "TROUBLE" not in status_line(take(world), History(), STATUS)
    if height == 50:
        lines = [one for one in text.splitlines() if "TROUBLE" in one or "HALTED NVDA seq" in one]
        assert "TROUBLE" in lines[0] and "HALTED" in lines[1]
        assert "- no exposure is free for BBB" in text


def test_empty_system(fake_world: World) -> None:
    """Before the first quote and process the screen has dashes in place of numbers."""
    text = shown(fake_world, height=30)
    assert row(text, "AAA")[:8] == ["AAA", "-", "-", "-", "-", "-", "-", "0"]
    assert "0+" not in text and "HALTED" not in text
    assert "quotes 0 of 2" in text
    assert "no fills yet" in text
    line = status_line(take(fake_world), History(), STATUS)
    numbers = "orders 0 (0/s)  fills 0  quotes 0/2  long 0/20  short 0/20  lag "
    assert line.startswith(f"2023-11-14T22:13:20Z  {numbers}")


@pytest.mark.parametrize("width", [80, 200])
def test_a_symbol_in_one_line(fake_world: World, width: int) -> None:
    """A symbol's line has prices, remaining lots, position, profit and both versions."""
    fake_world.propose("AAA", bid=98, ask=101)
    fake_world.trade(fake_world.order("sell", 4), fake_world.order("buy", 2))
    fake_world.scripts.commit(10)
    text = shown(fake_world, width)
    title, words = row(text, "symbol"), row(text, "AAA")
    for word in ["granted", "0.98", "1.01", "+2", "+0.06", "+0.03"]:
        assert word in words, words
    assert (words[2], words[5]) == (("6", "8") if width == 80 else ("6/10", "8/10"))
    if width == 80:
        assert title[-3:] == ["realised", "unreal.", "profit"]
        assert words[-1] == "+0.09"
        assert "not shown: pv, qv" in text
        wider = shown(fake_world, 100)
        assert row(wider, "symbol")[-2:] == ["pv", "qv"]
        assert row(wider, "AAA")[-2:] == ["2", "1"]
        assert "pv, qv: position version, quote version" in wider
    else:
        assert "position version" in text and "quote version" in text
        assert {"0.98", "0.995", "quote", "maker-1"} <= set(words)


def test_uncommitted_fills_show_beside_the_position_version(fake_world: World) -> None:
    """Fills that are emitted but not committed are shown as +n after the committed version."""
    fake_world.propose("AAA")
    fake_world.trade(fake_world.order("sell", 1), fake_world.order("sell", 1))
    assert "0+2" in row(shown(fake_world, 100), "AAA")


def test_reduced_and_omitted(fake: Fake) -> None:
    """The outcome of each symbol's last placement is named."""
    world = World(fake, small_config(3, limit=15))
    for name in symbol_names(3):
        world.propose(name)
    text = shown(world, height=30)
    assert [row(text, name)[1] for name in symbol_names(3)] == ["granted", "reduced", "omitted"]
    assert "waiting for long BBB CCC  for short BBB CCC" in text
    assert "15 of 15" in text
    assert "BBB reduced 5x5/10x10" in text
    assert "CCC reduced" not in text
    assert "CCC omitted" in text


def test_one_sided_quote_is_marked_by_the_last_price(fake_world: World) -> None:
    """A side that is not quoted has no price, and the last price is the mark."""
    fake_world.propose("AAA", bid=98, ask=105, ask_lots=0)
    fake_world.trade(fake_world.order("sell", 4))
    fake_world.scripts.commit(10)
    words = row(shown(fake_world), "AAA")
    assert words[2:6] == ["6", "0.98", "-", "-"]
    assert words[8] == "0.00", words  # unrealised: bought at 0.98 and marked at 0.98


def test_expired_quote_is_no_quote(fake_world: World) -> None:
    """From the instant of its expiry a quote is neither shown nor counted."""
    fake_world.propose("AAA")
    fake_world.advance(29_999)
    assert "quotes 1 of 2" in shown(fake_world)
    fake_world.advance(1)
    text = shown(fake_world)
    assert "quotes 0 of 2" in text
    assert row(text, "AAA")[1:6] == ["-", "-", "-", "-", "-"]


def test_ttl_bar_shrinks(fake_world: World) -> None:
    """The bar is full when a quote begins and empties as its time runs out."""
    fake_world.propose("AAA")
    bars = []
    for _ in range(3):
        bars.append(next(word for word in row(shown(fake_world), "AAA") if set(word) <= set("━╸─")))
        fake_world.advance(14_900)
    assert bars == ["━━━", "━╸─", "╸──"]


def test_halted_symbol(fake: Fake) -> None:
    """A halt shows in the symbol's line, with its reason above all symbols, and in the status."""
    world = troubled(fake)
    text = shown(world)
    assert row(text, "NVDA")[1] == "HALTED"
    assert "HALTED NVDA sequence: expected 3 got 5" in text
    assert "HALTED NVDA" in shown(world, 80, 6)


def test_many_halts_are_counted(fake: Fake) -> None:
    """Where not all halts fit, the screen says how many more there are."""
    world = many(fake)
    for name in world.names[:100]:
        world.client.hset(world.keys.member("position:*", name), "halted", "gap")
    assert "and 98 more halted" in shown(world)
    line = status_line(take(world), History(), STATUS)
    assert "HALTED AAA BBB CCC DDD and 96 more" in line


def test_symbols_that_do_not_fit_are_counted(fake: Fake) -> None:
    """The first symbols are shown and the others counted, those cut from the snapshot too."""
    text = shown(many(fake), height=24)
    names = symbol_names(300)
    listed = [line for line in text.splitlines() if line.split()[0] in names]
    assert listed[0].startswith("AAA")
    assert f"and {300 - len(listed)} more symbols" in text
    world = World(Fake(fake.clock), small_config(20, limit=10_000))
    for name in world.names:
        world.propose(name)
    assert "and 15 more symbols" in shown(world, height=40, max_symbols=5)


def test_processes(fake: Fake) -> None:
    """A process is live for 2 s after a heartbeat; the supervisor's restarts count."""
    world = World(fake, small_config())
    beat(world, "exchange-1", "4711")
    fake.advance(2_000)
    world.admit("publisher-1")
    status = replace(STATUS, restarts={"exchange-1": 2, "publisher-1": 0})
    assert row(shown(world, 120, status=status), "exchange-1")[1:4] == ["4711", "live", "2"]
    assert row(shown(world, status=status), "publisher-1")[1:3] == ["-", "-"]
    world.send_to_inbox("publisher-1", "o1", "publisher-1 AAA buy 1 1")
    world.scripts.collect(10)
    assert row(shown(world, 120, status=status), "publisher-1")[1:3] == ["-", "live"]
    fake.advance(1)
    assert row(shown(world, status=status), "exchange-1")[2] == "silent"
    fake.advance(2_000)
    assert row(shown(world, 120, status=status), "publisher-1")[1:3] == ["-", "idle"]
    line = status_line(take(world), History(), status)
    assert "silent exchange-1" in line and "restarts 2" in line


def test_lag_is_shown_where_work_waits(fake_world: World) -> None:
    """An order that waits for matching and a fill that waits for its commit show as lag."""
    fake_world.propose("AAA")
    fake_world.trade(fake_world.order("sell", 1))
    fake_world.advance(1_500)
    fake_world.send(fake_world.order("sell", 1))
    fake_world.advance(250)
    assert "lag exchange 250 ms state 1.7 s" in shown(fake_world)


def test_fills_and_notes(fake_world: World) -> None:
    """Fills are shown with the side of their order, and the newest supervisor notes come first."""
    fake_world.propose("AAA")
    fake_world.trade(fake_world.order("sell", 2), fake_world.order("buy", 1, order_id="mine"))
    notes = ("00:00:01 maker-1 died [signal 9]", "00:00:02 server restarted\nby hand")
    text = shown(fake_world, 160, 40, replace(STATUS, notes=notes))
    assert "AAA-1 sell 2 @ 0.99 order c1/o1" in text
    assert "AAA-2 buy 1 @ 1.01 order c1/mine" in text
    assert text.index("AAA-2 buy") < text.index("AAA-1 sell")
    assert text.index("server restarted by hand") < text.index("maker-1 died [signal 9]")


def test_small_screens_keep_what_matters(fake: Fake) -> None:
    """At 24 lines every pane is there; at 12 only the symbols are left."""
    world = troubled(fake)
    high, low = shown(world, 80, 24), shown(world, 80, 12)
    for name in world.names:
        assert row(high, name)
    assert "processes" in high and "fills ─" in high and "quote events" in high
    assert "processes" not in low and "waiting" not in low
    assert "long" in low and "AAPL" in low


def history(fake: Fake, *samples: tuple[int, int]) -> History:
    """A history of (ms, orders processed) pairs."""
    made, base = History(), take(empty(fake))
    for now_ms, orders in samples:
        made.add(
            replace(base, now_ms=now_ms, cursors=replace(base.cursors, exchange_records=orders))
        )
    return made


def test_history_rates(fake: Fake) -> None:
    """Orders per second follow the server's clock over two seconds, not the number of frames."""
    assert history(fake).orders_per_s == history(fake, (0, 5)).orders_per_s == 0
    assert history(fake, (0, 0), (500, 100)).orders_per_s == 200
    assert history(fake, (0, 0), (8_000, 900), (9_000, 1_000), (10_000, 1_100)).orders_per_s == 100
    assert history(fake, (0, 0), (1_000, 7), (1_000, 9)).orders_per_s == 9


def test_history_series(fake: Fake) -> None:
    """The series has an entry for each whole second, independent of the snapshots' instants."""
    made = history(fake, (500, 0), (1_500, 10), (2_500, 30), (4_500, 30), (5_200, 100))
    assert made.series(10) == [15, 10, 0, 50]
    assert made.series(2) == [0, 50]
    assert made.series(0) == history(fake, (0, 0)).series(5) == []
    assert sum(history(fake, *((250 * i, 7 * i) for i in range(5_000))).series(10_000)) == 7 * 996


def test_history_is_bounded_and_starts_again(fake: Fake) -> None:
    """A clock or a count that goes back empties the history; its length is limited."""
    assert history(fake, (0, 0), (1_000, 10), (900, 20), (1_900, 25)).orders_per_s == 5
    assert history(fake, (0, 0), (1_000, 10), (2_000, 3), (3_000, 4)).orders_per_s == 1
    long = history(fake, *((i, i) for i in range(3 * REMEMBERED)))
    assert len(long._samples) == REMEMBERED


def test_sparkline_and_rate_on_the_screen(fake: Fake) -> None:
    """A sparkline of the last seconds is drawn beside the present rate, with its peak."""
    found = take(empty(fake))
    made = history(fake, (0, 0), (1_000, 80), (2_000, 80), (3_000, 100))
    text = "\n".join(drawn(market_screen(found, made, STATUS, 80, 24)))
    assert "10/s █·▂ 3 s, peak 80/s" in text
    assert "(10/s)" in status_line(found, made, STATUS)


@pytest.mark.parametrize("width", [80, 200])
def test_command_tables(fake: Fake, width: int) -> None:
    """The commands' tables name every symbol, budget and process and fit the console."""
    world = troubled(fake)
    found = take(world)
    lines = drawn(Group(PositionsTable(found), quotes_table(found), exposure_table(found)), width)
    lines += drawn(processes_table(found), width)
    text = "\n".join(lines)
    for word in [*world.names, "long", "short", "exchange-1", "silent", "live", "HALTED"]:
        assert word in text, word
    assert max(map(cell_len, lines)) <= width


def test_damaged_number_is_refused_in_words(fake_world: World) -> None:
    """A hash that a foreign program has damaged is refused, and the error names the field."""
    fake_world.client.hset(fake_world.keys.named("exposure"), "bid_units", "lots")
    with pytest.raises(SystemRefused, match="bid_units 'lots': it must be an integer"):
        shown(fake_world)


def test_same_snapshot_same_screen(fake: Fake) -> None:
    """The view depends on nothing but its arguments."""
    found = take(troubled(fake))
    first = drawn(market_screen(found, History(), STATUS, 120, 40), 120)
    fake.advance(60_000)
    assert drawn(market_screen(found, History(), STATUS, 120, 40), 120) == first


def test_configuration_of_the_default_system_fits_80_columns(fake: Fake) -> None:
    """All required columns of the default system are there at 80 columns."""
    config: Config = default_config()
    world = World(fake, config)
    for symbol in config.symbols:
        half = symbol.spread_ticks // 2
        bid = symbol.reference_ticks - half
        world.propose(symbol.name, bid=bid, ask=bid + symbol.spread_ticks)
    text = shown(world)
    title = next(line for line in text.splitlines() if line.startswith("symbol"))
    for column in ["placed", "lots", "bid", "ask", "ttl", "net", "realised", "unreal.", "profit"]:
        assert column in title.split(), title


def test_how_far_a_replay_is(fake_world: World) -> None:
    """The progress of a replay stands beside the orders, and in the status line."""
    words = "tape 2021-01-08T00:00:08Z, 62 %, 5 s left"
    status = replace(STATUS, replay=words)
    assert words in shown(fake_world, 80, 24, status)
    assert f"  {words}  " in status_line(take(fake_world), History(), status)
    assert "tape" not in shown(fake_world, 80, 24)
