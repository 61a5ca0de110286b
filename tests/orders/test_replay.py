"""Replays: the symbols that a tape defines, its configuration and orders, and a real tape's run."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from mm.errors import ValueRefused
from mm.market import MAX_INT, default_config, headroom_of
from mm.orders import (
    PublisherOptions,
    Tape,
    config_of_tape,
    config_to_replay,
    read_tape,
    tape_orders,
)
from mm.orders.replay import tape_symbols, tape_words
from mm.publisher import Publisher
from tests.kit import Backend, Fake, Real, World, assert_sound, make_symbol, small_config
from tests.kit.tapes import GOOD, REAL, read, trades


class TestSymbols:
    def test_parameters(self, tmp_path: Path) -> None:
        """Tick and lot follow from the decimals, the rest from first price, moves and sizes."""
        (symbol,) = tape_symbols(read(tmp_path, GOOD))
        assert (symbol.name, symbol.tick, symbol.lot) == ("XY", Decimal("0.01"), Decimal("0.001"))
        # Moves of 25 and 75 ticks, whose upper median is 75.
        assert (symbol.reference_ticks, symbol.spread_ticks) == (1050, 3 * 75)
        assert (symbol.size_lots, symbol.position_limit_lots) == (4000, 80_000)
        assert symbol.skew_ticks == 2 * symbol.spread_ticks

    def test_zeros_behind_are_no_decimals(self, tmp_path: Path) -> None:
        """Trailing zeros do not change the tick; whole numbers have a tick of 1."""
        found = trades(tmp_path, "1,A,buy,100.00,5.000", "1,B,buy,0.50000000,20")
        first, second = tape_symbols(found)
        assert (first.tick, first.lot) == (Decimal(1), Decimal(1))
        assert (second.tick, second.lot) == (Decimal("0.1"), Decimal(1))

    def test_a_price_that_never_moves(self, tmp_path: Path) -> None:
        """Without a move the spread is still at least two ticks."""
        (symbol,) = tape_symbols(trades(tmp_path, *["1,A,buy,7,1"] * 3))
        assert symbol.spread_ticks >= 2

    def test_size_is_the_90th_percentile(self, tmp_path: Path) -> None:
        """One huge trade in twenty does not set the size."""
        lines = ["1,A,buy,7,10"] * 19 + ["1,A,buy,7,1000000"]
        (symbol,) = tape_symbols(trades(tmp_path, *lines))
        assert symbol.size_lots == 10

    @pytest.mark.parametrize(
        "line",
        [
            "1,A,buy,64250.12,999.12345678",
            "1,A,buy,0.00001234,12345678.12345678",
            "1,A,buy,90071992547409,1",
            "1,A,buy,0.00000000000001,90000000",
        ],
    )
    def test_extremes_stay_exact(self, tmp_path: Path, line: str) -> None:
        """Fine decimals and huge numbers give symbols that the configuration's rules allow."""
        config = config_of_tape(trades(tmp_path, line))
        (symbol,) = config.symbols
        highest = 10 * symbol.reference_ticks + symbol.spread_ticks + symbol.skew_ticks
        assert 1 <= symbol.size_lots <= symbol.position_limit_lots
        assert highest * symbol.position_limit_lots <= MAX_INT
        assert headroom_of(config, symbol).price_tenths >= 100

    def test_room_for_the_highest_price(self, tmp_path: Path) -> None:
        """The limits stay exact at ten times the highest price of the tape, not of its first."""
        lines = ["1,A,buy,1,1000000000000", "2,A,buy,90,1000000000000"]
        (symbol,) = config_of_tape(trades(tmp_path, *lines)).symbols
        spread, skew = symbol.spread_ticks, symbol.skew_ticks
        assert symbol.position_limit_lots == MAX_INT // (10 * 90 + spread + skew)

    def test_smaller_size_is_said(self, tmp_path: Path) -> None:
        """A symbol that is quoted in a smaller size than it trades in is named with both sizes."""
        lines = ["1,BIG,buy,64250.12,999.12345678", "1,OK,buy,1,1"]
        config, said = config_to_replay(trades(tmp_path, *lines), None, None, 0)
        size = config.symbol("BIG").quantity(config.symbol("BIG").size_lots)
        assert f"; BIG is quoted in sizes of {size} in place of 999.12345678:" in said
        assert "OK" not in said

    def test_no_lot_is_exact(self, tmp_path: Path) -> None:
        """A price so fine that one lot would not stay exact is refused with its line."""
        with pytest.raises(ValueRefused, match=r"line 3: price 90071992547409\.5: .*10 times"):
            tape_symbols(trades(tmp_path, "1,A,buy,5,1", "1,A,buy,90071992547409.5,1"))

    def test_too_large_for_integers(self, tmp_path: Path) -> None:
        """A quantity above 2^53 lots is refused with its line."""
        with pytest.raises(ValueRefused, match=r"tape.csv line 3: qty in lots"):
            tape_symbols(trades(tmp_path, "1,A,buy,1,0.00000001", "1,A,buy,1,90071993"))


class TestNoise:
    @pytest.mark.parametrize(
        ("lines", "line", "write"),
        [
            (["7.01,10"] * 3 + ["7.0100000000001,10"], 5, "Write 7.01,"),
            (["7.0099999999999,10"] + ["7.01,10"] * 3, 2, "Write 7.01,"),
            (["7.01,10", "7.01,10.00000001"], 3, "Write 10,"),
            (["7.015,10", "7.01,10", "7.0200000000001,10"], 4, "Write 7.02,"),
            (["7.01,10"] * 5 + ["7.01000000001,10"] * 5, 7, "Write 7.01,"),
        ],
    )
    def test_refused(self, tmp_path: Path, lines: list[str], line: int, write: str) -> None:
        """A value that is finer than the others by noise alone is refused with its line."""
        found = trades(tmp_path, *(f"1,A,buy,{amounts}" for amounts in lines))
        with pytest.raises(ValueRefused, match=f"tape.csv line {line}: .*noise.*{write}"):
            tape_symbols(found)

    @pytest.mark.parametrize(
        ("lines", "tick"),
        [
            (["7.0123456,10"], "0.0000001"),
            (["7,10", "7.5,10", "7.25,10", "7.0001,10"], "0.0001"),
            (["0.01,10"] * 9 + ["0.00000001,10"], "0.00000001"),
            (["7.01,10"] * 99 + ["7.013,10"], "0.001"),
            (["7.01,10", "7.0100000000001,10", "7.0112345678901,10"], "0.0000000000001"),
        ],
    )
    def test_real_decimals(self, tmp_path: Path, lines: list[str], tick: str) -> None:
        """A finer value that is not near the others' steps sets the tick, as it should."""
        (symbol,) = tape_symbols(trades(tmp_path, *(f"1,A,buy,{amounts}" for amounts in lines)))
        assert symbol.tick == Decimal(tick)


class TestConfig:
    def test_tape_defines_the_symbols(self, tmp_path: Path) -> None:
        """A new system without a configuration gets the tape's symbols, and room for all quotes."""
        found = trades(tmp_path, "1,A,buy,7,10", "1,B,sell,9,300")
        config, said = config_to_replay(found, None, None, 1)
        assert config == config_of_tape(found)
        assert [symbol.name for symbol in config.symbols] == ["A", "B"]
        assert config.limit_units == 310
        assert config.quote_ttl_ms == default_config().quote_ttl_ms
        assert said.endswith("it defines its symbols and an exposure limit of 310 lots")

    def test_symbol_of_the_same_name(self, tmp_path: Path) -> None:
        """A name of the built-in configuration gives a tape's symbol none of its parameters."""
        found = trades(tmp_path, "1,AAPL,buy,585,10", "1,ZZZ,buy,9,1")
        config, _ = config_to_replay(found, None, None, 1)
        assert [symbol.name for symbol in config.symbols] == ["AAPL", "ZZZ"]
        assert config.symbol("AAPL").reference_ticks == 585

    def test_given_configuration_wins(self, tmp_path: Path) -> None:
        """A configuration that is given stays as it is, and the sentence says so."""
        base = small_config(symbols=3)
        found = trades(tmp_path, "1,AAA,buy,1.07,10", "1,CCC,buy,1.07,10")
        config, said = config_to_replay(found, base, None, 1)
        assert config is base
        assert said.endswith("symbols and limits are those of --config")

    def test_stored_configuration_wins(self, tmp_path: Path) -> None:
        """The configuration of a system that exists stays as it is, and the sentence says so."""
        base = small_config(symbols=3)
        found = trades(tmp_path, "1,AAA,buy,1.07,10")
        config, said = config_to_replay(found, None, base, 1)
        assert config is base
        assert said.endswith("symbols and limits are those that the running system has")

    @pytest.mark.parametrize(
        "lines", [("1,ZZZ,buy,1.07,10",), ("1,AAA,buy,1.07,10", "1,ZZZ,buy,1.07,10")]
    )
    def test_unknown_symbol(self, tmp_path: Path, lines: tuple[str, ...]) -> None:
        """A symbol that the configuration does not name is refused by its line, with a way."""
        found = trades(tmp_path, *lines)
        with pytest.raises(
            ValueRefused, match=r"line \d: symbol 'ZZZ'.* Without --config the tape"
        ):
            config_to_replay(found, small_config(), None, 1)
        with pytest.raises(ValueRefused, match=r"line \d: symbol 'ZZZ'.* In a new --data-dir"):
            config_to_replay(found, None, small_config(), 1)

    @pytest.mark.parametrize(
        ("lines", "speed", "words"),
        [
            (
                ["1610064000278,A,buy,7,10", "1610064046678,B,buy,9,1"],
                10,
                "2 trades of 2 symbols over 46.4 s from 2021-01-08 00:00:00 UTC, sent in 4.6 s",
            ),
            (["5,A,buy,7,10"], 0, "1 trade of 1 symbol over 0.0 s, sent flat out"),
        ],
    )
    def test_span(self, tmp_path: Path, lines: list[str], speed: float, words: str) -> None:
        """The sentence says how much the tape has, from when, and how long it takes."""
        assert tape_words(trades(tmp_path, *lines), speed) == words


class TestOrders:
    def test_marketable_orders(self, tmp_path: Path) -> None:
        """Each trade becomes an order of its side, size and price, at its time and speed."""
        found = read(tmp_path, GOOD)
        config = config_of_tape(found)
        fast = tape_orders(found, config, speed=10)
        words = [(one.at_s, one.side, one.qty_lots, one.limit_ticks) for one in fast]
        assert words == [
            (0.0, "buy", 2500, 1050),
            (0.0, "sell", 125, 1025),
            (0.25, "buy", 4000, 1100),
        ]
        assert [one.at_s for one in tape_orders(found, config)] == [0, 0, 2.5]
        assert [one.at_s for one in tape_orders(found, config, 0)] == [0, 0, 0]

    def test_off_the_grid(self, tmp_path: Path) -> None:
        """A trade that is not in whole ticks and lots is refused with its line."""
        config = small_config()
        for line, why in (("1,AAA,buy,1.075,10", "price 1.075"), ("1,AAA,buy,1.07,1.5", "qty 1.5")):
            found = trades(tmp_path, "1,AAA,buy,1.07,10", line)
            with pytest.raises(ValueRefused, match=f"tape.csv line 3: {why}: it must be a mult"):
                tape_orders(found, config)

    def test_unknown_symbol(self, tmp_path: Path) -> None:
        """A symbol that the running system does not have is refused with its line."""
        with pytest.raises(ValueRefused, match=r"tape.csv line 2: symbol 'ZZZ'"):
            tape_orders(trades(tmp_path, "1,ZZZ,buy,1,1"), small_config())

    @pytest.mark.parametrize("speed", [-1.0, float("nan"), float("inf"), 1e9])
    def test_bad_speed(self, tmp_path: Path, speed: float) -> None:
        """A speed that is negative, too large or not a number is refused."""
        with pytest.raises(ValueRefused, match="speed"):
            tape_orders(read(tmp_path, GOOD), small_config(), speed)

    def test_another_lot(self, tmp_path: Path) -> None:
        """The configuration decides tick and lot, not the decimals of the tape."""
        symbol = make_symbol("XY", tick=Decimal("0.05"), lot=Decimal("0.125"))
        config = replace(small_config(), symbols=(symbol,))
        first, second, third = tape_orders(read(tmp_path, GOOD), config)
        assert [one.limit_ticks for one in (first, second, third)] == [210, 205, 220]
        assert [one.qty_lots for one in (first, second, third)] == [20, 1, 32]


def run_through(found: Tape, backend: Backend) -> None:
    """Run the tape one order at a time through all processes, and check the end."""
    config = config_of_tape(found)
    world = World(backend, config)
    options = PublisherOptions(tape=found, speed=0, in_flight=1)
    publisher = Publisher(backend.client, world.keys, options=options)
    publisher.attach(world.make_scripts())
    processes = [publisher, world.exchange(), world.state(), world.maker()]
    (symbol,) = config.symbols
    for _ in range(2):
        processes[-1].step()
    furthest = 0
    while not publisher.over.is_set():
        for process in processes:
            process.step()
        furthest = max(furthest, abs(world.position(symbol.name).get("net_lots", 0)))
    summary, fills = publisher.summary, world.fills()
    assert (summary.sent, summary.unanswered) == (len(found.trades), 0)
    assert len(fills) == summary.filled + summary.partially_filled
    sides = [fill.side for fill in fills]
    assert min(sides.count("buy"), sides.count("sell")) > len(found.trades) // 8, summary
    assert furthest <= symbol.position_limit_lots
    # The maker follows the tape: half of its fills are within 0.02 % of the trade's own price.
    intents = tape_orders(found, config)
    trades = [intents[int(fill.order_id.split("-")[1]) - 1] for fill in fills]
    off = [abs(a.price_ticks - b.limit_ticks) for a, b in zip(fills, trades, strict=True)]
    assert sorted(off)[len(off) // 2] < symbol.reference_ticks // 5000
    assert_sound(world)


@pytest.mark.slow
def test_real_tape_begins(fake: Fake) -> None:
    """On the first trades of the real tape all orders are answered, with fills on both sides."""
    run_through(Tape(REAL, read_tape(REAL).trades[:300]), fake)


@pytest.mark.server
@pytest.mark.slow
def test_real_tape(valkey: Real) -> None:
    """The same holds for the whole tape over Valkey."""
    run_through(read_tape(REAL), valkey)
