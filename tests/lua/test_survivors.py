"""Changes of scripts that a mutation run made and no other test noticed (``scripts/mutate``)."""

from __future__ import annotations

from typing import Any

import pytest
from redis.exceptions import ResponseError

from mm.errors import ProposalRefused
from mm.market import MAX_INT, Position, symbol_fields
from mm.store import execute, take_snapshot
from tests.kit import SYSTEM_ID, Fake, MakeWorld, World, assert_sound, small_config

#: A divisor of 2^53 - 1.
DIVISOR = 6361
#: A prime.
P = 2**40 - 87


def append(world: World, stream: str, *words: str) -> None:
    """Append one entry to a stream as no process would."""
    execute(world.client, "XADD", world.keys.named(stream), "*", *words)


class TestMatch:
    @pytest.mark.parametrize("side", ["buy", "sell"])
    def test_remaining_over_batches(self, world: World, side: Any) -> None:
        """A later batch finds what earlier ones left of a side, and then nothing."""
        world.propose()
        (first,) = world.trade(world.order(side, 7))
        (second,) = world.trade(world.order(side, 7))
        (third,) = world.trade(world.order(side, 1))
        assert (first.status, first.cum_lots) == ("filled", 7)
        assert (second.status, second.cum_lots) == ("partially_filled", 3)
        assert (third.status, third.reason) == ("canceled", "exhausted")
        assert_sound(world)

    def test_longest_symbol(self, world: World) -> None:
        """A symbol of 16 characters of the whole alphabet is well formed, if unknown."""
        (report,) = world.trade(world.order(symbol="A9._-" * 3 + "Z"))
        assert report.reason == "unknown_symbol"

    @pytest.mark.parametrize("symbol", ["aAAA", "AAAa", "A/AA"])
    def test_symbol_in_rubbish(self, world: World, symbol: str) -> None:
        """A word that only contains a symbol is none."""
        world.send_raw("o1", f"c1 {symbol} buy 1 101")
        world.scripts.match(10)
        assert [report.reason for report in world.reports()] == ["bad_symbol"]

    def test_bulk_entry_after_a_single_one(self, world: World) -> None:
        """An entry that would pass the batch size waits, also behind a single order."""
        world.send(world.order())
        world.send(*(world.order() for _ in range(5)))
        done = world.scripts.match(3)
        assert (done.orders, done.more) == (1, True)

    def test_records_are_counted_on(self, world: World) -> None:
        """The number of orders taken in all goes on from step to step."""
        for _ in range(2):
            world.trade(world.order(), world.order())
        assert world.hash("cursors")["exchange_records"] == "4"

    def test_trimming(self, fake: Fake) -> None:
        """Orders go up to where the cursor was at least keep_orders ago, and none after it."""
        world = World(fake, small_config(keep_orders=200))
        ids = [""]

        def take(count: int) -> dict[str, str]:
            ids.extend(world.send(world.order()) for _ in range(count))
            world.scripts.match(1000)
            cursors = world.hash("cursors")
            return {name: cursors[name] for name in cursors if name.startswith("trim")}

        assert take(199) == {}
        assert take(1) == {"trim_to": "0-0", "trim_next": ids[200], "trim_records": "200"}
        assert take(199)["trim_records"] == "200"
        assert take(1) == {"trim_to": ids[200], "trim_next": ids[400], "trim_records": "400"}
        assert [entry for entry, _ in world.stream("orders")] == ids[1:]
        take(1)
        left = [entry for entry, _ in world.stream("orders")]
        assert ids[1] not in left, "the server trims whole blocks of about a hundred"
        assert left == ids[-len(left) :]
        assert ids[200] in left


class TestCommit:
    @pytest.mark.parametrize(
        ("name", "line", "why"),
        [
            ("xAAA-1", "sell 1 100 c1 o1 AAA-1 1", "no such symbol"),
            ("AAA-1x", "sell 1 100 c1 o1 AAA-1 1", "no such symbol"),
            ("AAA-1", "9 sell 1 100 c1 o1 AAA-1 1", "not a fill record"),
        ],
    )
    def test_fill_in_rubbish(self, world: World, name: str, line: str, why: str) -> None:
        """A record that only contains a fill is none."""
        append(world, "fills", name, line)
        assert world.scripts.commit(10).fills == 0
        ((_, fields),) = world.stream("deadletter")
        assert dict(fields)["reason"] == why

    @pytest.mark.parametrize(
        "fills",
        [
            # Down to a single lot, long and short.
            [("sell", 2, 100), ("buy", 1, 100)],
            [("buy", 2, 100), ("sell", 1, 100)],
            # The division of the cost leaves a remainder of one less than the divisor.
            [("sell", P // 3, 8000), ("sell", P - P // 3, 8001), ("buy", 3, 1)],
        ],
        ids=["long", "short", "remainder"],
    )
    def test_cost(self, world: World, fills: list[tuple[str, int, int]]) -> None:
        """The cost of what stays open is its exact share, rounded towards zero."""
        expected = Position()
        for seq, (side, lots, price) in enumerate(fills, 1):
            line = f"{side} {lots} {price} c1 o1 AAA-1 1"
            append(world, "fills", f"AAA-{seq}", line)
            expected = expected.apply(lots if side == "sell" else -lots, price)
        assert world.scripts.commit(10).halts == {}
        assert world.position()["cost_ticks"] == expected.cost_ticks

    def test_records_are_counted_on(self, world: World) -> None:
        """The number of fills taken in all goes on from step to step."""
        world.propose()
        for _ in range(2):
            world.trade(world.order(), world.order())
            world.scripts.commit(10)
        assert world.hash("cursors")["state_records"] == "4"

    def test_two_halts_in_one_step(self, world: World) -> None:
        """Each symbol that halts in a step is withdrawn, for its own reason, and wants nothing."""
        world.propose("AAA")
        world.propose("BBB", bid_lots=20, ask_lots=20)
        assert world.hash("reservation:*", "BBB")["bid_wanted_lots"] == "20"
        append(world, "fills", "AAA-9", "sell 1 100 c1 o1 AAA-1 1", "BBB-1", "rubbish")
        assert len(world.scripts.commit(10).halts) == 2
        assert world.reserved() == (0, 0)
        for name, why in (("AAA", "sequence: expected 1 got 9"), ("BBB", "not a fill record")):
            assert world.hash("position:*", name)["halted"] == why
            held = world.hash("reservation:*", name)
            assert (held["bid_wanted_lots"], held["ask_wanted_lots"]) == ("0", "0")
            assert (held["state"], world.quote_lots(name)) == ("released", None)

    def test_bounds_are_not_mixed_up(self, make_world: MakeWorld) -> None:
        """A ledger full of rubbish is kept to its bound and takes nothing off the quote events."""
        world = make_world(keep_deadletters=5)
        for number in range(300):
            append(world, "quotes", "event", str(number))
        for number in range(300):
            append(world, "fills", f"x-{number}", "rubbish")
        append(world, "fills", "AAA-9", "rubbish")
        world.propose()
        world.scripts.commit(1000)
        assert len(world.stream("quotes")) == 302
        assert len(world.stream("deadletter")) <= 5 + 200


class TestPlace:
    @pytest.mark.parametrize(("most", "multiplier"), [(DIVISOR, 1), (1, DIVISOR)])
    def test_largest_product(self, make_world: MakeWorld, most: int, multiplier: int) -> None:
        """Price x position limit, or x notional units, may be 2^53 - 1 itself, and no more."""
        parameters = {"position_limit_lots": most, "multiplier": multiplier, "size_lots": 1}
        world = make_world(mode="notional", limit=MAX_INT, of_symbol=parameters)
        top = MAX_INT // DIVISOR
        assert top * DIVISOR == MAX_INT
        with pytest.raises(ProposalRefused, match="BAD_PROPOSAL"):
            world.propose(ask=top + 1)
        assert world.propose(ask=top).outcome == "granted"

    def test_longest_maker_id(self, world: World) -> None:
        """A maker's name of 64 characters of the whole alphabet is accepted."""
        name = "M-._" * 16
        world.propose(maker=name)
        assert world.hash("quote:*", "AAA")["maker_id"] == name

    def test_places_are_numbered(self, make_world: MakeWorld) -> None:
        """Each beginning of a wait takes the next number, kept beside the totals."""
        world = make_world(symbols=3)
        world.propose("AAA", bid_lots=20, ask_lots=20)
        world.propose("BBB", ask_lots=0)
        world.propose("CCC", bid_lots=0)
        assert world.ranked("waiting:bid") == {"BBB": 1}
        assert world.ranked("waiting:ask") == {"CCC": 2}
        assert world.hash("exposure")["wait_seq"] == "2"

    def test_units_of_each_side(self, make_world: MakeWorld) -> None:
        """The reservation says what a lot of each side counts, at that side's price."""
        world = make_world(mode="notional", limit=5000, of_symbol={"multiplier": 3})
        world.propose(bid=90, bid_lots=4, ask=110, ask_lots=5)
        held = world.hash("reservation:*", "AAA")
        assert (held["bid_lot_units"], held["ask_lot_units"]) == ("270", "330")
        assert (held["bid_wanted_lots"], held["ask_wanted_lots"]) == ("4", "5")
        assert (held["bid_units"], held["ask_units"]) == (str(4 * 270), str(5 * 330))

    def test_a_single_lot_left_over(self, make_world: MakeWorld) -> None:
        """The one lot that all earlier waiters leave over is granted."""
        world = make_world(symbols=3)
        world.propose("AAA", bid_lots=20, ask_lots=0)
        world.propose("BBB", ask_lots=0)
        world.propose("AAA", bid_lots=9, ask_lots=0)
        assert world.propose("CCC", ask_lots=0).bid_lots == 1

    def test_refusals_name_the_numbers(self, world: World) -> None:
        """A refusal names each stale version beside the one that counts."""
        world.propose()
        world.trade(world.order("buy", 2))
        world.scripts.commit(10)

        def refused(**changes: Any) -> str:
            with pytest.raises(ProposalRefused) as caught:
                world.propose(**changes)
            return str(caught.value)

        assert refused(position_version=7) == "STALE_POSITION AAA committed 1 proposed 7"
        assert refused(quote_version=9) == "STALE_QUOTE AAA newest 1 proposed 9"
        world.trade(world.order("buy", 1), world.order("buy", 1))
        assert refused() == "UNCOMMITTED_FILLS AAA emitted 3 committed 1"

    def test_exposure_that_came_back_in_part(self, world: World) -> None:
        """Totals that a fill has begun anew, without the limit, are not mistaken for whole."""
        world.propose()
        world.client.delete(world.keys.named("exposure"))
        world.trade(world.order())
        world.drain()
        with pytest.raises(ResponseError, match=r"^DAMAGED \{mm\}:exposure "):
            world.propose()

    def test_life_is_no_bound(self, fake: Fake) -> None:
        """Announcing an expiry takes no more off the quote events than keep_quotes says."""
        world = World(fake, small_config(quote_ttl_ms=150, refresh_ms=1))
        for number in range(400):
            append(world, "quotes", "event", str(number))
        world.propose("AAA")
        fake.advance(150)
        world.propose("BBB")
        assert len(world.stream("quotes")) == 403

    def test_nothing_freed_writes_no_totals(self, world: World) -> None:
        """Sweeps and orders that free nothing do not begin totals anew that someone deleted."""
        world.client.delete(world.keys.named("exposure"))
        world.scripts.expire()
        assert world.trade(world.order())[0].reason == "no_quote"
        assert world.keys.named("exposure") not in world.dump()

    @pytest.mark.parametrize(("net", "lots"), [(105, (0, 10)), (-105, (10, 0))])
    def test_position_past_its_limit(self, world: World, net: int, lots: tuple[int, int]) -> None:
        """A position that someone has put past its limit is not added to."""
        key = world.keys.member("position:*", "AAA")
        execute(world.client, "HSET", key, "net_lots", net)
        placed = world.propose()
        assert (placed.bid_lots, placed.ask_lots) == lots

    def test_top_up_at_another_price(self, make_world: MakeWorld) -> None:
        """A top-up keeps the whole lots that the units held make at the new price, no more."""
        world = make_world(mode="notional", limit=1000)
        world.propose("AAA", bid=100, bid_lots=9, ask_lots=0)
        world.propose("BBB", bid=100, bid_lots=5, ask_lots=0)
        placed = world.propose("AAA", bid=99, bid_lots=10, ask_lots=0, trigger="capacity")
        assert placed.bid_lots == 9
        assert world.reserved() == (9 * 99 + 100, 0)


class TestHeartbeat:
    def beat(self, world: World, name: str, count: int = 0) -> list[str]:
        """A maker's heartbeat; the live makers."""
        return world.beat(name, count)

    def test_rate(self, fake: Fake) -> None:
        """The rate is exact, and 0 where no time has passed."""
        world = World(fake, small_config())
        self.beat(world, "maker-1")
        self.beat(world, "maker-1", 7)
        assert world.hash("process:*", "maker-1")["rate_per_s"] == "0"
        fake.advance(2000)
        self.beat(world, "maker-1", 2_000_007)
        assert world.hash("process:*", "maker-1")["rate_per_s"] == "1000000"

    def test_sorted(self, fake: Fake) -> None:
        """The live names are sorted by name, not by who was heard first."""
        world = World(fake, small_config())
        self.beat(world, "maker-2")
        fake.advance(1)
        assert self.beat(world, "maker-1") == ["maker-1", "maker-2"]

    def test_exactly_an_hour(self, fake: Fake) -> None:
        """A process is forgotten when it has been silent for an hour, not a millisecond sooner."""
        world = World(fake, small_config())
        self.beat(world, "maker-1")
        fake.advance(3_600_000 - 1)
        self.beat(world, "maker-2")
        assert world.ranked("processes").keys() == {"maker-1", "maker-2"}
        assert world.hash("process:*", "maker-1")
        fake.advance(1)
        self.beat(world, "maker-2")
        assert world.ranked("processes").keys() == {"maker-2"}
        fake.advance(1)
        assert not world.hash("process:*", "maker-1")


class TestSetup:
    def test_everything_that_is_stored(self, world: World) -> None:
        """The hashes of a new system hold exactly these fields."""
        identity = {"system_id": SYSTEM_ID, "created_ms": world.hash("config")["created_ms"]}
        identity["config_version"] = "1"
        assert world.hash("config") == world.config.store_fields() | identity
        for symbol in world.config.symbols:
            numbers = {"fill_seq": "0", "quote_version": "0"}
            assert world.hash("symbol:*", symbol.name) == numbers
            assert world.hash("terms:*", symbol.name) == symbol_fields(world.config, symbol)
            assert world.hash("position:*", symbol.name) == {
                "net_lots": "0",
                "cash_ticks": "0",
                "cost_ticks": "0",
                "position_version": "0",
                "last_fill_id": "-",
                "last_price_ticks": "0",
                "updated_ms": "0",
                "twice_spread_ticks": "0",
                "fair_ticks": "0",
                "fair_rest": "0",
                "trades": "",
            }
            assert world.hash("reservation:*", symbol.name) == {
                "quote_id": "-",
                "bid_units": "0",
                "ask_units": "0",
                "expires_ms": "0",
                "state": "released",
            }


class TestSnapshot:
    def test_streams(self, world: World) -> None:
        """Each stream is described by its length, its first and its last entry."""
        names = ["orders", "fills", "positions", "quotes", "deadletter", "lifecycle"]
        names.append("operations")
        for count, name in enumerate(names, 2):
            for number in range(count):
                append(world, name, "event", str(number))
        streams = take_snapshot(world.scripts).streams
        assert list(streams) == names
        for count, name in enumerate(names, 2):
            ids = [entry for entry, _ in world.stream(name)]
            one = streams[name]
            assert (one.length, one.first_id, one.last_id) == (count, ids[0], ids[-1])

    def test_queues_and_processes(self, make_world: MakeWorld) -> None:
        """The two queues are listed apart, and so are all processes."""
        world = make_world(symbols=3)
        world.propose("AAA", bid_lots=20, ask_lots=20)
        world.propose("BBB", ask_lots=0)
        world.propose("CCC", bid_lots=0)
        for number in range(4):
            world.beat(f"maker-{number}")
        taken = take_snapshot(world.scripts)
        assert (list(taken.waiting_bid), list(taken.waiting_ask)) == (["BBB"], ["CCC"])
        assert list(taken.processes) == [f"maker-{number}" for number in range(4)]

    @pytest.mark.parametrize("recent", [0, 1])
    def test_recent(self, world: World, recent: int) -> None:
        """A reader gets as many fill entries and events as it asks for, none or one too."""
        world.propose("AAA")
        world.propose("BBB")
        world.trade(world.order())
        world.trade(world.order())
        raw = world.scripts.snapshot(recent)
        assert (len(raw["fills"]), len(raw["events"])) == (recent, recent)


class TestSurvey:
    def test_waiting_without_a_reservation(self, world: World) -> None:
        """A queued symbol whose reservation someone deleted can be served nothing."""
        world.propose("AAA", bid_lots=5, ask_lots=5)
        execute(world.client, "ZADD", world.keys.named("waiting:bid"), 1, "BBB")
        world.client.delete(world.keys.member("reservation:*", "BBB"))
        assert world.scripts.survey([]).servable == []

    @pytest.mark.parametrize("other", ["bid_lots", "ask_lots"])
    def test_waiting_on_one_side(self, world: World, other: str) -> None:
        """Waiting on either side is waiting; a symbol asked for twice has one row."""
        world.propose("AAA", bid_lots=20, ask_lots=20)
        world.propose("BBB", **{other: 0})
        assert world.scripts.survey(["BBB"]).rows["BBB"].waiting
        _, rows, *_ = world.scripts.call("survey", "-", 1, "BBB", "BBB")
        assert len(rows) == 1
