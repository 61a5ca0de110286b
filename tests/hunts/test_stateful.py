"""Long random runs of a larger world against the plain model of the contract in ``oracle``.

Each action is made on the real scripts and processes and on the model; replies, reports, positions,
quotes, exposure and queues must agree after every one. The seed stands in the test's name;
``MM_TEST_SEED=N`` runs another, and takes the time to shrink a failing run to a short one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal

import fakeredis
import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mm.maker import Maker
from mm.market import Config, Placement, Prices, Proposal, Trigger
from mm.store import Scripts, execute
from tests.kit import (
    SEEDS,
    SYSTEM_ID,
    Backend,
    Fake,
    World,
    assert_sound,
    make_symbol,
    notional_config,
)
from tests.kit.oracle import SIDES, STRICTNESS, Oracle

#: Shrinking takes minutes; the seed is enough to come back to a failure and do it then.
PHASES = [Phase.generate, *([Phase.shrink] if "MM_TEST_SEED" in os.environ else [])]
NAMES = ["AAA", "BBB", "CCC", "DDD", "EEE"]
CLIENTS = ["c1", "c2"]

names = st.sampled_from(NAMES)
sides = st.sampled_from(["buy", "sell"])
lots = st.integers(1, 14)
makers = st.sampled_from(["1", "2"])
triggers = st.sampled_from(["position", "refresh", "expired", "bootstrap", "capacity"])
#: What no order may be, and words that look like good ones.
rubbish = st.sampled_from(
    [
        *["c1 AAA buy 1", "c1 AAA buy 1 1 1", "c1 AAA hold 1 100", "c1 ZZZ buy 1 100", "", "c1"],
        *["c1 AAA buy 0 100", "c1 AAA buy -1 100", "c1 AAA sell x 100", "c1 AAA sell 1 1.5"],
        *["c1 AAA buy 9007199254740992 100", "c1 AAA buy 1 99999999999999999", "c1 aaa buy 1 1"],
        *["c! AAA buy 1 100", "c1  AAA buy 1 100", "c1 AAA buy 1 -0", "c2 AAA sell 1 0"],
    ]
)


def large_config(mode: Literal["lots", "notional"], timeless: bool) -> Config:
    """Five symbols that differ, and ask for about twice the limit.

    In notional mode they differ in tick, lot and multiplier too.
    """
    times: dict[str, Any] = {"quote_ttl_ms": 1_000, "refresh_ms": 200}
    if timeless:
        times = {"quote_ttl_ms": 3_600_000, "refresh_ms": 1}
    money = mode == "notional"
    changes: list[dict[str, Any]] = [
        {},
        {"skew_ticks": 4, "position_limit_lots": 12},
        {"reference_ticks": 50, "size_lots": 15} | ({"tick": Decimal("0.02")} if money else {}),
        {"size_lots": 4} | ({"multiplier": 6, "lot": Decimal("0.5")} if money else {}),
        {"spread_ticks": 5, "size_lots": 12, "position_limit_lots": 15}
        | ({"lot": Decimal("0.25")} if money else {}),
    ]
    symbols = [make_symbol(name, **one) for name, one in zip(NAMES, changes, strict=True)]
    if money:
        return notional_config(symbols, 250_000, **times)
    return Config(symbols=tuple(symbols), limit_units=28, **times)


class Recorded(Scripts):
    """Scripts that keep every proposal with what became of it."""

    def __init__(self, scripts: Scripts, note: Callable[[Proposal, Any], None]) -> None:
        super().__init__(scripts.client, scripts.keys, scripts._shebang)
        self._note = note

    def place_many(self, proposals: Sequence[Proposal]) -> list[Any]:
        """Place them; each is noted."""
        results = super().place_many(proposals)
        for proposal, result in zip(proposals, results, strict=True):
            self._note(proposal, result)
        return results


class Market(RuleBasedStateMachine):
    """The actions of the world, each made twice."""

    backend: Backend
    mode: Literal["lots", "notional"]

    def __init__(self) -> None:
        super().__init__()
        if isinstance(self.backend, Fake):
            self.backend.server = fakeredis.FakeServer()
        else:
            execute(self.backend.client(), "FLUSHALL")
        self.world = World(self.backend, large_config(self.mode, not self.backend.is_fake))
        self.oracle = Oracle(self.world.config)
        self.exchange, self.state = self.world.exchange(), self.world.state()
        self.makers = {ident: self._maker(ident) for ident in ("1", "2")}
        self.kept: list[Proposal] = []
        self.sent: list[list[tuple[str, str]]] = []
        self.forged = False

    def _maker(self, ident: str) -> Maker:
        maker = self.world.maker(ident)
        maker.attach(Recorded(self.world.make_scripts(), self._placed))
        return maker

    def teardown(self) -> None:
        """Everything that waits is done; then the whole record is sound."""
        for _ in range(3):
            self.exchange_step()
            self.state_step()
            for ident in self.makers:
                self.maker_step(ident)
        self.agree()
        if not self.forged:
            assert_sound(self.world)
        if not self.backend.is_fake:
            for process in (self.exchange, self.state, *self.makers.values()):
                process.close()

    # orders

    @rule(
        client=st.sampled_from(CLIENTS),
        orders=st.lists(
            st.tuples(names, sides, lots, st.none() | st.integers(40, 120)), max_size=3
        ),
    )
    def send(self, client: str, orders: list[tuple[str, str, int, int | None]]) -> None:
        """One entry of new orders, marketable where no limit is given."""
        records: list[tuple[str, str]] = []
        for symbol, side, quantity, limit in orders:
            ticks = limit or (1_000 if side == "buy" else 1)
            number = sum(map(len, self.sent)) + len(records) + 1
            records.append((f"o{number}", f"{client} {symbol} {side} {quantity} {ticks}"))
        self._send(records)

    @rule(line=rubbish, order_id=st.sampled_from(["bad-1", "bad-2", "b@d", "x" * 65]))
    def send_rubbish(self, line: str, order_id: str) -> None:
        """An entry that is no order."""
        self._send([(order_id, line)])

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        """An earlier entry once more, as after a lost connection."""
        self._send(data.draw(st.sampled_from(self.sent)))

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), symbol=names, side=sides, quantity=lots)
    def send_changed(self, data: st.DataObject, symbol: str, side: str, quantity: int) -> None:
        """An earlier order's id on another order: it is refused, whatever came before."""
        order_id, line = data.draw(st.sampled_from(self.sent))[0]
        client = line.partition(" ")[0]
        self._send([(order_id, f"{client} {symbol} {side} {quantity} 100")])

    def _send(self, records: list[tuple[str, str]]) -> None:
        if records:
            self.sent.append(records)
            self.world.send_raw(*(word for record in records for word in record))
            self.oracle.submit(records)

    # the processes

    @rule()
    def exchange_step(self) -> None:
        """The exchange's step, expiry included."""
        now, reaped = self.world.now_ms(), self._reaped()
        self.exchange.step()
        self.oracle.match(now, 500, reaped)
        self.oracle.expire(now)

    @rule(max_orders=st.integers(1, 4))
    def match_few(self, max_orders: int) -> None:
        """A small batch, and the same call again after a lost reply only goes on from there."""
        reaped = self._reaped()
        self.world.scripts.match(max_orders)
        self.oracle.match(self.world.now_ms(), max_orders, reaped)

    def _reaped(self) -> Callable[[str], bool]:
        there = {name for name in NAMES if self.world.hash("quote:*", name)}
        return lambda symbol: symbol not in there

    @rule()
    def state_step(self) -> None:
        """The state service's step."""
        self.state.step()
        self.oracle.commit()

    @rule(ident=makers)
    def maker_step(self, ident: str) -> None:
        """A maker's step; what it proposes is placed on both."""
        self.makers[ident].step()

    @rule(ident=makers)
    def maker_dies(self, ident: str) -> None:
        """A maker starts afresh."""
        if not self.backend.is_fake:
            self.makers[ident].close()
        self.makers[ident] = self._maker(ident)

    @rule(ident=makers)
    def survey(self, ident: str) -> None:
        """A maker looks, decides, and keeps its proposals for later."""
        maker = self.makers[ident]
        self.kept += maker.proposals(maker.scripts.survey(NAMES))

    @precondition(lambda self: self.kept)
    @rule(data=st.data(), forget=st.booleans())
    def place_kept(self, data: st.DataObject, forget: bool) -> None:
        """A proposal is placed long after it was made, perhaps twice."""
        number = data.draw(st.integers(0, len(self.kept) - 1))
        proposal = self.kept.pop(number) if forget else self.kept[number]
        self._place(proposal)

    @rule(
        symbol=names,
        trigger=triggers,
        bid=st.integers(0, 100),
        spread=st.integers(-1, 9),
        sizes=st.tuples(st.integers(0, 20), st.integers(0, 20)),
    )
    def place_any(
        self, symbol: str, trigger: Trigger, bid: int, spread: int, sizes: tuple[int, int]
    ) -> None:
        """Any proposal that names the present versions."""
        book = self.oracle.books[symbol]
        prices = Prices(bid, sizes[0], max(0, bid + spread), sizes[1])
        version = self.oracle.config.version
        versions = (book.committed, book.version)
        self._place(Proposal(symbol, "maker-1", trigger, *versions, prices, version))

    @rule()
    def expire(self) -> None:
        """A heartbeat releases what has expired."""
        ended = self.world.scripts.expire().quote_ids
        assert sorted(ended) == self.oracle.expire(self.world.now_ms())

    @rule()
    def withdraw(self) -> None:
        """The quotes end, as after a stop of the makers; these have sent no heartbeat."""
        ended = self.world.scripts.withdraw(SYSTEM_ID)
        assert (sorted(ended.quote_ids), ended.live_makers) == (self.oracle.withdraw(), [])

    @rule(
        mode=st.sampled_from([*STRICTNESS, *["active"] * 3]),
        symbols=st.lists(names, max_size=2, unique=True),
    )
    def control(self, mode: str, symbols: list[str]) -> None:
        """An operator sets a mode of some symbols or, but for flattening, of all."""
        if symbols or mode != "flattening":
            ended = self.world.control(mode, *symbols).quote_ids
            assert sorted(ended) == self.oracle.control(mode, symbols)

    @rule(
        tenths=st.sampled_from([4, 10, 10, 15]),
        symbol=names,
        size=st.integers(1, 20),
        position_limit=st.integers(5, 40),
        gone=st.lists(names, max_size=2, unique=True),
    )
    def configure(
        self, tenths: int, symbol: str, size: int, position_limit: int, gone: list[str]
    ) -> None:
        """An operator changes the limit, a symbol, and which symbols are traded."""
        base = large_config(self.mode, not self.backend.is_fake)
        changed = {"size_lots": size, "position_limit_lots": position_limit}
        symbols = tuple(
            replace(one, **changed) if one.name == symbol else one  # type: ignore[arg-type]  # both are integers
            for one in base.symbols
            if one.name not in gone
        )
        limit = base.limit_units * tenths // 10
        before, now = self.world.config, self.world.now_ms()
        ended = self.world.configure(symbols=symbols, limit_units=limit).quote_ids
        assert self.world.config.version == before.version + 1
        assert sorted(ended) == self.oracle.configure(now, self.world.config)

    def _place(self, proposal: Proposal) -> None:
        self._placed(proposal, self.world.scripts.place_many([proposal])[0])

    def _placed(self, proposal: Proposal, result: Any) -> None:
        refusal = self.oracle.refusal(proposal)
        if not isinstance(result, Placement):
            assert result.code == refusal, proposal
            return
        assert not refusal, f"{proposal} was not refused by {refusal}"
        expected = self.oracle.place(proposal, self.world.now_ms())
        assert (result.outcome, result.quote_id, result.bid_lots, result.ask_lots) == expected

    # what else happens

    @precondition(lambda self: self.backend.is_fake)
    @rule(ms=st.integers(1, 900))
    def wait(self, ms: int) -> None:
        """Time passes."""
        self.world.advance(ms)

    @precondition(lambda self: self.backend.is_fake and self._expiries())
    @rule(by=st.sampled_from([-200, -1, 0, 1]))
    def wait_for_deadline(self, by: int) -> None:
        """Time passes to an instant at or beside the next expiry."""
        ms = min(self._expiries()) + by - self.world.now_ms()
        if ms > 0:
            self.world.advance(ms)

    def _expiries(self) -> list[int]:
        quotes = [book.quote for book in self.oracle.books.values() if book.quote]
        return [quote.expires for quote in quotes if quote.expires > self.world.now_ms()]

    @precondition(lambda self: not self.forged and len(self.sent) > 6)
    @rule(symbol=names)
    def forge(self, symbol: str) -> None:
        """A foreign hand appends a record to the ledger: that symbol halts, and no other."""
        self.forged = True
        line = "buy 1 101 c9 o9 AAA-1 0"
        execute(self.world.client, "XADD", "{mm}:fills", "*", f"{symbol}-1000", line)
        self.oracle.forge(symbol, 1000)

    # what must be the same

    @initialize()
    def start(self) -> None:
        """The first quotes."""
        self.maker_step("1")

    @invariant()
    def agree(self) -> None:
        """Everything that can be seen is as in the model."""
        for side in SIDES:
            queue = list(self.world.ranked(f"waiting:{side}"))
            assert queue == self.oracle.queues[side], f"waiting for {side}"
        totals = tuple(sum(b.held(s) for b in self.oracle.books.values()) for s in SIDES)
        assert self.world.reserved() == totals
        for name, book in self.oracle.books.items():
            self._agree_on(name, book)
        for client in CLIENTS:
            reports = [
                (name, line.rpartition(" ")[0])
                for name, line in self.world.records("reports:*", client)
            ]
            assert reports == self.oracle.reports.get(client, []), f"reports of {client}"

    def _agree_on(self, name: str, book: Any) -> None:
        position, state = self.world.position(name), self.world.hash("symbol:*", name)
        assert (position["net_lots"], position["cash_ticks"]) == (book.net, book.cash)
        assert position["position_version"] == book.committed
        assert position["last_price_ticks"] == book.last_price
        assert (int(state["fill_seq"]), int(state["quote_version"])) == (
            len(book.fills),
            book.version,
        )
        assert ("halted" in self.world.hash("position:*", name)) == book.halted
        assert self.world.mode(name) == book.mode
        held = self.world.hash("reservation:*", name)
        assert [int(held[f"{side}_units"]) for side in SIDES] == [book.held(s) for s in SIDES]
        quote = self.world.hash("quote:*", name)
        if book.quote and book.quote.expires > self.world.now_ms():
            assert quote["quote_id"] == book.quote.quote_id
            for side, level in book.quote.levels.items():
                assert int(quote[f"{side}_lots"]) == level.lots
                assert int(quote[f"{side}_ticks"]) == level.ticks
            if self.backend.is_fake:  # a real clock goes on between the call and the model's look
                assert int(quote["expires_ms"]) == book.quote.expires
        elif not book.quote:
            assert not quote


@pytest.mark.parametrize("number", SEEDS)
@pytest.mark.parametrize("mode", ["lots", "notional"])
def test_the_system_is_what_the_contract_says(
    backend: Backend, mode: Literal["lots", "notional"], number: int
) -> None:
    """Random runs of orders, quotes, deaths, delays and time agree with the plain model."""

    class Here(Market):
        pass

    Here.backend, Here.mode = backend, mode
    run_state_machine_as_test(
        seed(number)(Here),
        settings=settings(
            max_examples=6,
            stateful_step_count=40,
            deadline=None,
            database=None,
            print_blob=True,
            phases=PHASES,
            suppress_health_check=list(HealthCheck),
        ),
    )
