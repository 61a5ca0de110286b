"""commit.lua: fills become positions, each exactly once, in order; a bad ledger halts loudly."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from mm.audit import audit
from mm.market import Position
from mm.store import execute, text
from tests.kit import SEEDS, MakeWorld, World, assert_sound

TOP = 2**53 - 1


def ledger(world: World, *words: str) -> str:
    """Append one entry to the ledger as no process would; its id."""
    return text(execute(world.client, "XADD", world.keys.named("fills"), "*", *words))


def record(
    side: str = "sell",
    lots: int = 1,
    price: int = 100,
    quote: str = "AAA-1",
    spread: int | None = None,
) -> str:
    """A ledger line; without a spread as earlier versions wrote it."""
    return f"{side} {lots} {price} c1 o1 {quote} 1" + ("" if spread is None else f" {spread}")


class TestApplying:
    def test_first_fill(self, world: World) -> None:
        """A sell order makes the maker buy: lots up, cash down, version 1, price remembered."""
        world.propose()
        world.trade(world.order("sell", 4))
        done = world.scripts.commit(10)
        assert (done.fills, done.more, done.versions, done.halts) == (1, False, {"AAA": 1}, {})
        position = world.position()
        assert position.pop("updated_ms") == done.now_ms
        assert position == {
            "net_lots": 4,
            "cash_ticks": -4 * 99,
            "cost_ticks": 4 * 99,
            "position_version": 1,
            "last_price_ticks": 99,
            "twice_spread_ticks": 4 * 2,
            "fair_ticks": 99,
            "fair_rest": 0,
        }
        assert world.hash("position:*", "AAA")["last_fill_id"] == "AAA-1"
        assert world.hash("position:*", "AAA")["trades"] == "4 99"
        assert_sound(world)

    def test_several_symbols(self, world: World) -> None:
        """One step commits fills of several symbols, each in its own sequence."""
        world.propose("AAA")
        world.propose("BBB")
        world.trade(
            world.order("buy", 1), world.order("sell", 2, symbol="BBB"), world.order("buy", 3)
        )
        assert world.scripts.commit(10).versions == {"AAA": 2, "BBB": 1}
        assert world.position("AAA")["net_lots"] == -4
        assert world.position("BBB")["net_lots"] == 2
        assert_sound(world)

    def test_update_record(self, world: World) -> None:
        """The committed update is the contract's line: one record a symbol, packed in one entry."""
        world.propose("AAA")
        world.propose("BBB")
        world.trade(world.order("buy", 2), world.order("buy", 1), world.order(symbol="BBB"))
        done = world.scripts.commit(10)
        ((_, records),) = world.stream("positions")
        assert dict(records) == {
            "AAA": f"-3 {3 * 101} 2 101 {done.now_ms}",
            "BBB": f"-1 {101} 1 101 {done.now_ms}",
        }

    def test_cursor(self, world: World) -> None:
        """The cursor moves with the effects: running again changes no key."""
        world.propose()
        world.trade(world.order())
        done = world.scripts.commit(10)
        assert world.cursor("state") == done.cursor == world.stream("fills")[-1][0]
        assert world.hash("cursors")["state_records"] == "1"
        before = world.dump()
        assert world.scripts.commit(10).fills == 0
        assert world.dump() == before

    def test_empty_ledger(self, world: World) -> None:
        """Before the first fill the step does nothing and says so."""
        before = world.dump()
        done = world.scripts.commit(10)
        assert (done.cursor, done.fills, done.versions) == ("0-0", 0, {})
        assert world.dump() == before

    def test_batches(self, world: World) -> None:
        """Entries are taken while they fit, never split, and the step says whether more waits."""
        world.propose()
        for _ in range(3):
            world.send(world.order(), world.order())
            world.scripts.match(10)
        done = [world.scripts.commit(3) for _ in range(3)]
        assert [(one.fills, one.more) for one in done] == [(2, True), (2, True), (2, False)]
        assert world.position()["position_version"] == 6
        assert_sound(world)

    def test_exposure_untouched(self, world: World) -> None:
        """Committing neither reserves nor releases: the fill did that in its own step."""
        world.propose()
        world.trade(world.order("buy", 4))
        before = world.reserved(), world.quote_lots()
        world.scripts.commit(10)
        assert (world.reserved(), world.quote_lots()) == before

    @pytest.mark.slow
    def test_updates_bounded(self, make_world: MakeWorld) -> None:
        """The stream of updates does not grow without end; the ledger does."""
        world = make_world(
            limit=500, size=500, keep_updates=5, of_symbol={"position_limit_lots": 999}
        )
        world.propose()
        for _ in range(300):
            world.send(world.order())
            world.scripts.match(10)
            world.scripts.commit(10)
        assert len(world.stream("positions")) <= 5 + 200
        assert world.position()["position_version"] == 300


class TestCost:
    def test_through_zero_and_back(self, world: World) -> None:
        """Average cost: adds when opening, shrinks in proportion, restarts at the flip's price."""
        steps = [
            ("sell", 3, 100),
            ("sell", 4, 110),
            ("buy", 5, 120),
            ("buy", 9, 130),
            ("sell", 7, 90),
        ]
        expected = Position()
        for seq, (side, lots, price) in enumerate(steps, 1):
            ledger(world, f"AAA-{seq}", record(side, lots, price))
            world.scripts.commit(10)
            expected = expected.apply(lots if side == "sell" else -lots, price)
            self.same(world, expected)
        assert (expected.net_lots, expected.cost_ticks) == (0, 0)
        assert expected.realised_ticks == expected.cash_ticks

    @pytest.mark.parametrize("seed", SEEDS)
    def test_random_against_the_model(self, fake_world: World, seed: int) -> None:
        """Hundreds of random fills give what exact integer arithmetic gives."""
        rng, expected = random.Random(seed), Position()
        for seq in range(1, 401):
            big = rng.random() < 0.5
            lots = rng.randint(1, 2**31 if big else 9)
            price = rng.randint(1, 10**5 if big else 200)
            side = rng.choice(("buy", "sell"))
            spread = rng.choice((None, 1, 7, 2**20))
            ledger(fake_world, f"AAA-{seq}", record(side, lots, price, spread=spread))
            expected = expected.apply(lots if side == "sell" else -lots, price, spread)
        assert fake_world.scripts.commit(1000).halts == {}
        self.same(fake_world, expected)

    @pytest.mark.parametrize(
        ("held", "price", "closed"),
        [
            (2**40 - 87, 8000, 2**39 + 12_345),
            (2**50 - 27, 6, 2**49 + 1),
            (2**52 - 1, 1, 1),
            (3, TOP // 3 - 1, 1),
            (94_906_265, 94_906_260, 94_906_263),
            (11_018_785_873_107, 377, 4_578_993_504_327),
            (1_941_716_232_277_705, 1, 245_018_414_641_251),
        ],
    )
    def test_exact_beyond_products(self, world: World, held: int, price: int, closed: int) -> None:
        """Closing part of a huge position costs exactly its share, on both sides of zero."""
        third = held // 3
        for symbol, opening, closing in (("AAA", "sell", "buy"), ("BBB", "buy", "sell")):
            expected, sign = Position(), 1 if opening == "sell" else -1
            fills = [(third, price, 1), (held - third, price + 1, 1), (closed, 1, -1)]
            for seq, (lots, at, way) in enumerate(fills, 1):
                side = opening if way > 0 else closing
                ledger(world, f"{symbol}-{seq}", record(side, lots, at))
                expected = expected.apply(sign * way * lots, at)
            assert world.scripts.commit(10).halts == {}
            self.same(world, expected, symbol)

    @staticmethod
    def same(world: World, expected: Position, symbol: str = "AAA") -> None:
        """The stored position is the expected one."""
        stored = world.position(symbol)
        stored.pop("updated_ms")
        assert stored == {
            "net_lots": expected.net_lots,
            "cash_ticks": expected.cash_ticks,
            "cost_ticks": expected.cost_ticks,
            "position_version": expected.position_version,
            "last_price_ticks": expected.last_price_ticks,
            "twice_spread_ticks": expected.twice_spread_ticks,
            "fair_ticks": expected.fair_ticks,
            "fair_rest": expected.fair_rest,
        }
        assert world.hash("position:*", symbol)["trades"] == expected.trades_text


class TestDerived:
    """What a position holds for reports and for quote rules."""

    def test_spread_of_the_quote_that_was_hit(self, world: World) -> None:
        """Each fill earns half the spread of its own quote, on both sides."""
        world.propose(bid=98, ask=103)
        world.trade(world.order("sell", 4, 98), world.order("buy", 3, 103))
        world.scripts.commit(10)
        assert [fill.spread_ticks for fill in world.fills()] == [5, 5]
        world.propose()
        world.trade(world.order("sell", 1, 99))
        world.scripts.commit(10)
        assert world.position()["twice_spread_ticks"] == 7 * 5 + 2
        assert_sound(world)

    def test_the_spread_stops_at_the_largest_number(self, world: World) -> None:
        """The sum bounds no trading: at 2^53 - 1 it stays, and the fills go on."""
        for seq, side in enumerate(("sell", "buy", "sell"), 1):
            ledger(world, f"AAA-{seq}", record(side, 2**30, 2**20, spread=2**23 - 1))
        assert world.scripts.commit(10).halts == {}
        assert world.position()["twice_spread_ticks"] == TOP

    def test_records_without_a_spread(self, world: World) -> None:
        """Fills of an earlier version earn no known spread and are no kept trades."""
        ledger(world, "AAA-1", record(lots=3), "AAA-2", record(lots=2, spread=6))
        world.scripts.commit(10)
        assert world.position()["twice_spread_ticks"] == 2 * 6
        assert world.hash("position:*", "AAA")["trades"] == "2 100"

    def test_position_of_an_earlier_version(self, world: World) -> None:
        """A position that lacks the fields gets them with its next fill."""
        ledger(world, "AAA-1", record(price=90))
        world.scripts.commit(10)
        fields = ("twice_spread_ticks", "fair_ticks", "fair_rest", "trades")
        execute(world.client, "HDEL", world.keys.member("position:*", "AAA"), *fields)
        exact = next(one for one in audit(world.scripts).checks if one.name == "position-exact")
        assert exact.ok
        ledger(world, "AAA-2", record(price=95, spread=4))
        world.scripts.commit(10)
        position = world.position()
        assert (position["twice_spread_ticks"], position["fair_ticks"]) == (4, 95)
        assert world.hash("position:*", "AAA")["trades"] == "1 95"

    def test_the_last_sixteen_trades(self, world: World) -> None:
        """They are kept over steps, the newest last."""
        for seq in range(1, 21):
            ledger(world, f"AAA-{seq}", record("buy" if seq % 2 else "sell", seq, 99, spread=2))
        world.scripts.commit(3)
        world.scripts.commit(100)
        words = [f"{-seq if seq % 2 else seq} 99" for seq in range(5, 21)]
        assert world.hash("position:*", "AAA")["trades"] == " ".join(words)

    @pytest.mark.parametrize("weight", [1, 20, 50, 99])
    @pytest.mark.parametrize("seed", SEEDS)
    def test_fair_price(self, make_world: MakeWorld, seed: int, weight: int) -> None:
        """It goes ``weight`` per cent of the way to each trade, as the model says, step by step."""
        world = make_world(of_symbol={"fair_weight": weight})
        rng, expected = random.Random(seed), Position()
        for seq in range(1, 120):
            price = rng.choice((rng.randint(1, 300), rng.randint(1, 2**40)))
            ledger(world, f"AAA-{seq}", record("buy" if seq % 2 else "sell", 1, price, spread=2))
            before, expected = expected, expected.apply(-1 if seq % 2 else 1, price, 2, weight)
            world.scripts.commit(1)
            found = world.position()
            assert (found["fair_ticks"], found["fair_rest"]) == (
                expected.fair_ticks,
                expected.fair_rest,
            )
            if seq > 1:
                was = Fraction(100 * before.fair_ticks + before.fair_rest, 100)
                exact = was + Fraction(weight, 100) * (price - was)
                now = Fraction(100 * expected.fair_ticks + expected.fair_rest, 100)
                assert abs(now - exact) <= Fraction(1, 200)

    def test_fair_price_at_the_largest_numbers(self, world: World) -> None:
        """The way between the smallest and the largest price stays exact."""
        prices = (1, TOP, 7)
        expected = Position()
        for seq, price in enumerate(prices, 1):
            ledger(world, f"AAA-{seq}", record("buy" if seq % 2 else "sell", 1, price, spread=2))
            expected = expected.apply(-1 if seq % 2 else 1, price, 2)
            world.scripts.commit(1)
            assert world.position()["fair_ticks"] == expected.fair_ticks == price


class TestHalting:
    FAULTS = (
        (f"AAA-3|{record()}", "sequence: expected 2 got 3"),
        (f"AAA-1|{record()}", "sequence: expected 2 got 1"),
        (f"AAA-0|{record()}", "sequence: expected 2 got 0"),
        ("AAA-2|rubbish", "not a fill record"),
        ("AAA-2|", "not a fill record"),
        (f"AAA-2|{record(spread=0)}", "not a fill record"),
        (f"AAA-2|{record(spread=-2)}", "not a fill record"),
        (f"AAA-2|{record(spread=5)} 5", "not a fill record"),
        (f"AAA-2|{record()} x", "not a fill record"),
        (f"AAA-2|{record()} ", "not a fill record"),
        (f"AAA-2|{record('hold')}", "not a fill record"),
        (f"AAA-2|{record(lots=-1)}", "not a fill record"),
        (f"AAA-2|{record(lots=0)}", "not a fill record"),
        (f"AAA-2|{record(price=0)}", "not a fill record"),
        (f"AAA-2|{record(lots=TOP + 1)}", "not a fill record"),
        (f"AAA-2|{record()} more", "not a fill record"),
        (f"AAA-99999999999999999|{record()}", "sequence: expected 2 got 99999999999999999"),
        (f"AAA-2|{record(lots=TOP, price=TOP)}", "overflow: a number would exceed 2^53 - 1"),
        (f"AAA-2|{record('buy', 1, TOP)}", "overflow: a number would exceed 2^53 - 1"),
    )

    @pytest.fixture
    def traded(self, world: World) -> World:
        """Both symbols quoted, one fill of AAA committed."""
        world.propose("AAA")
        world.propose("BBB")
        world.trade(world.order("buy", 2))
        world.scripts.commit(10)
        return world

    @pytest.mark.parametrize(("fault", "why"), FAULTS)
    def test_halts_one_symbol(self, traded: World, fault: str, why: str) -> None:
        """A bad record halts its symbol: quote withdrawn, exposure released, reason kept."""
        before = traded.position()
        name, _, line = fault.partition("|")
        entry = ledger(traded, name, line)
        done = traded.scripts.commit(10)
        assert (done.fills, done.halts, done.cursor) == (0, {"AAA": why}, entry)
        assert traded.position() == before
        assert traded.hash("position:*", "AAA")["halted"] == why
        assert traded.quote_lots("AAA") is None
        assert traded.reserved() == (10, 10)
        assert traded.ranked("expiry").keys() == {"BBB"}
        assert traded.hash("reservation:*", "AAA")["state"] == "released"
        last = traded.events("AAA")[-1]
        assert (last["event"], last["quote_id"]) == ("withdrawn", "AAA-1")
        ((_, fields),) = traded.stream("deadletter")
        assert dict(fields) == {
            "source": "fills",
            "entry_id": entry,
            "reason": why,
            "raw": f"{name} {line}",
        }

    def test_others_go_on(self, traded: World) -> None:
        """In the step that halts one symbol the other's fills are applied, and it trades on."""
        traded.trade(traded.order("sell", 3, symbol="BBB"))
        ledger(traded, "AAA-9", record(), "BBB-2", record("sell", 2, 98, "BBB-1"))
        done = traded.scripts.commit(10)
        assert (done.versions, list(done.halts)) == ({"BBB": 2}, ["AAA"])
        assert traded.position("BBB")["net_lots"] == 5
        assert traded.trade(traded.order(symbol="BBB"))[0].status == "filled"

    def test_good_part_is_applied(self, traded: World) -> None:
        """What precedes the fault in the same batch is applied, nothing that follows it is."""
        ledger(traded, "AAA-2", record("sell", 1), "AAA-4", record("sell", 1))
        ledger(traded, "AAA-3", record("sell", 1))
        done = traded.scripts.commit(10)
        assert done.versions == {"AAA": 2}
        assert list(done.halts) == ["AAA"]
        assert len(traded.stream("deadletter")) == 2
        assert traded.position()["position_version"] == 2

    def test_halted_once(self, traded: World) -> None:
        """Later fills of a halted symbol go to the dead letters; its first reason stays."""
        ledger(traded, "AAA-9", record())
        traded.scripts.commit(10)
        ledger(traded, "AAA-2", record())
        done = traded.scripts.commit(10)
        assert (done.fills, done.halts) == (0, {})
        assert traded.hash("position:*", "AAA")["halted"].startswith("sequence")
        assert dict(traded.stream("deadletter")[-1][1])["reason"] == "symbol is halted"

    def test_halted_without_a_quote(self, world: World) -> None:
        """Halting a symbol that is not quoted releases nothing and announces nothing."""
        ledger(world, "AAA-9", record())
        assert list(world.scripts.commit(10).halts) == ["AAA"]
        assert world.reserved() == (0, 0)
        assert world.events() == []

    def test_leaves_the_queues(self, world: World) -> None:
        """A halted symbol waits for exposure no longer, and its claim holds nobody up."""
        world.propose("AAA", bid_lots=20, ask_lots=20)
        assert world.propose("BBB").outcome == "omitted"
        assert "BBB" in world.ranked("waiting:bid")
        ledger(world, "BBB-9", record())
        world.scripts.commit(10)
        assert (world.ranked("waiting:bid"), world.ranked("waiting:ask")) == ({}, {})

    @pytest.mark.parametrize("name", ["", "AAA", "AAA-", "-1", "ZZZ-1", "aaa-1", "\x00-1", "AAA-x"])
    def test_nobodys_record(self, traded: World, name: str) -> None:
        """A record of no configured symbol is kept on the dead letters and halts nobody."""
        entry = ledger(traded, name, record())
        done = traded.scripts.commit(10)
        assert (done.fills, done.halts, done.cursor) == (0, {}, entry)
        ((_, fields),) = traded.stream("deadletter")
        assert dict(fields)["reason"] == "no such symbol"
        assert traded.quote_lots("AAA") is not None

    def test_binary(self, traded: World) -> None:
        """Binary rubbish in the ledger is kept verbatim and does not stop the cursor."""
        entry = text(
            traded.client.xadd(traded.keys.named("fills"), {b"\xff\x00": bytes(range(256))})
        )
        assert traded.scripts.commit(10).cursor == entry
        ((_, fields),) = execute(traded.client, "XRANGE", traded.keys.named("deadletter"), "-", "+")
        assert fields[b"raw"] == b"\xff\x00 " + bytes(range(256))

    def test_dashed_symbol(self, world: World) -> None:
        """A symbol may have a dash in its name: the last one begins the sequence number."""
        execute(
            world.client,
            "COPY",
            world.keys.member("symbol:*", "AAA"),
            world.keys.member("symbol:*", "A-1"),
        )
        ledger(world, "A-1-1", record())
        assert world.scripts.commit(10).versions == {"A-1": 1}

    @pytest.mark.parametrize(
        "fills",
        [
            ["sell 1 1", f"buy 1 {TOP}", "buy 1 2"],
            ["sell 1 1", f"buy 1 {TOP}", f"sell 1 {TOP}", "sell 1 1"],
            [f"sell {TOP} 1", f"buy {TOP} 1", f"buy {TOP} 1", "buy 1 1"],
        ],
        ids=["cash", "cost", "lots"],
    )
    def test_overflow(self, world: World, fills: list[str]) -> None:
        """Cash, cost or lots that would pass 2^53 - 1 halt the symbol before they are inexact."""
        for seq, fill in enumerate(fills, 1):
            side, lots, price = fill.split()
            ledger(world, f"AAA-{seq}", record(side, int(lots), int(price)))
        done = world.scripts.commit(10)
        assert done.versions == {"AAA": len(fills) - 1}
        assert "overflow" in done.halts["AAA"]
        assert max(abs(number) for number in world.position().values()) <= TOP
