"""What two public implementations of the same assignment get wrong, one test each, by name.

Each test plays the situation in which they fail and shows what happens here instead. They defend
R1 to R3 and R5 (quotes), R8, R9 and R11 (exposure), R12, R13 and R15 (orders and fills), R16 and
R19 (commits). What needs killed processes or a killed server is shown by the crash tests.
"""

from __future__ import annotations

from typing import Any

import pytest

from mm.errors import ProposalRefused, ValueRefused
from mm.market import LIVE_MS, Order, Placement
from mm.store import Survey, execute
from tests.kit import MakeWorld, World, assert_sound


@pytest.fixture
def quoted(world: World) -> World:
    """Both symbols quoted by one maker."""
    world.maker().step()
    return world


def test_fills_sent_fire_and_forget_and_lost(quoted: World) -> None:
    """A fill is on the ledger in the step that executes it; nobody need be there to receive it."""
    quoted.trade(quoted.order("buy", 4))
    assert quoted.position()["position_version"] == 0
    late = quoted.state()
    late.step()
    assert quoted.position()["net_lots"] == -4
    assert_sound(quoted)


def test_redelivered_fill_applied_twice(quoted: World) -> None:
    """A ledger that is read again from its start is not applied again, and the symbol halts."""
    quoted.trade(quoted.order("buy", 4))
    quoted.drain()
    execute(quoted.client, "HSET", quoted.keys.named("cursors"), "state", "0-0")
    done = quoted.scripts.commit(10)
    assert quoted.position()["net_lots"] == -4
    assert done.halts == {"AAA": "sequence: expected 2 got 1"}


def test_same_order_id_executed_twice(quoted: World) -> None:
    """The same order sent three times, in one entry batch and later, executes once."""
    order = quoted.order("buy", 2)
    for _ in range(3):
        quoted.send(order)
        quoted.exchange().step()
    assert len(quoted.fills()) == 1
    assert [report.duplicate for report in quoted.reports()] == [False, True, True]


def test_fill_and_position_written_apart(quoted: World) -> None:
    """Position, update and cursor are one step: after any number of steps they agree."""
    for number in range(8):
        quoted.trade(quoted.order("buy" if number % 2 else "sell", 1))
        if number % 3 == 0:
            quoted.scripts.commit(1)
        assert_sound(quoted)
        version = quoted.position()["position_version"]
        assert quoted.hash("cursors").get("state_records", "0") == str(version)


def test_quote_activated_beyond_its_grant(world: World) -> None:
    """What is active is what was granted, lot for lot, never what was asked."""
    world.propose("AAA", bid_lots=15, ask_lots=18)
    placed = world.propose("BBB", bid_lots=10, ask_lots=10)
    assert world.quote_lots("BBB") == (placed.bid_lots, placed.ask_lots) == (5, 2)
    assert world.reserved() == (20, 20)
    report = world.trade(world.order("buy", 10, symbol="BBB"))[0]
    assert report.cum_lots == 2


def test_quote_of_one_symbol_overwriting_anothers(quoted: World) -> None:
    """Quotes, reservations and versions of two symbols never touch each other."""
    before = quoted.hash("quote:*", "BBB"), quoted.hash("reservation:*", "BBB")
    quoted.propose("AAA", bid=50, ask=60)
    assert (quoted.hash("quote:*", "BBB"), quoted.hash("reservation:*", "BBB")) == before


@pytest.mark.parametrize("lots", [-1, 0, "nan", "-nan", "inf", "1.5", "1e9", ""])
def test_negative_and_nan_quantities_accepted(quoted: World, lots: Any) -> None:
    """Neither an order nor a quote takes a quantity that is no positive integer."""
    before = quoted.reserved(), quoted.quote_lots()
    quoted.send_raw("o1", f"c1 AAA buy {lots} 101")
    assert quoted.scripts.match(10).fills == 0
    with pytest.raises(ValueRefused):
        Order("c1", "o1", "AAA", "buy", lots, 101)
    if lots != 0:  # a side of nothing is how a maker quotes the other side alone
        with pytest.raises(ProposalRefused) as caught:
            quoted.propose("AAA", bid_lots=lots)
        assert caught.value.code == "BAD_PROPOSAL"
    assert (quoted.reserved(), quoted.quote_lots()) == before


def test_fills_write_back_clobbering_a_newer_quote(quoted: World) -> None:
    """Fills of an old quote, committed after the next one was placed, leave the new one whole."""
    quoted.trade(quoted.order("buy", 4))
    quoted.scripts.commit(10)
    quoted.propose("AAA", bid=97, ask=103)
    quoted.scripts.commit(10)
    assert quoted.quote_lots("AAA") == (10, 10)
    assert quoted.hash("quote:*", "AAA")["quote_id"] == "AAA-2"
    assert_sound(quoted)


def test_refresh_replacing_a_quote_while_its_fill_is_in_flight(quoted: World) -> None:
    """A refresh waits until every fill is committed."""
    quoted.trade(quoted.order("buy", 4))
    with pytest.raises(ProposalRefused) as caught:
        quoted.propose("AAA", trigger="refresh")
    assert caught.value.code == "UNCOMMITTED_FILLS"
    quoted.drain()
    assert quoted.propose("AAA", trigger="refresh").outcome == "granted"


def test_exposure_kept_after_expiry(make_world: MakeWorld) -> None:
    """After an expiry nothing stays reserved, though its maker and the exchange are gone."""
    world = make_world(quote_ttl_ms=150, refresh_ms=1)
    world.maker().step()
    assert world.reserved() == (20, 20)
    world.advance(150)
    world.state().beat()
    assert world.reserved() == (0, 0)


def test_denied_symbol_never_asked_again(make_world: MakeWorld) -> None:
    """A symbol that was denied is quoted as soon as the budget is free, by itself."""
    world = make_world(symbols=3)
    maker = world.maker()
    maker.step()
    assert world.hash("symbol:*", "CCC")["outcome"] == "omitted"
    world.trade(world.order("buy", 10), world.order("sell", 10))
    maker.step()
    assert world.quote_lots("CCC") == (10, 10)


def test_partitioned_old_owner_still_quoting(make_world: MakeWorld) -> None:
    """A maker that was cut off and replaced has its old proposals refused when it is back."""
    world = make_world()
    old, new = world.maker("1"), world.maker("2")
    old.step()
    world.trade(world.order("sell", 1))
    world.drain()
    late = old.proposals(world.scripts.survey(["AAA"]))
    world.advance(LIVE_MS + 1)
    new.beat()
    new.step()
    (result,) = world.scripts.place_many(late)
    assert isinstance(result, ProposalRefused)
    assert world.hash("quote:*", "AAA")["maker_id"] == "maker-2"


def test_updates_dropped_between_snapshot_and_stream(
    quoted: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is committed right after a maker's first look at a symbol is heard at its next step."""
    maker = quoted.maker("2")
    maker.reconcile_s = 3600.0
    act = maker.act

    def act_late(survey: Survey) -> list[Placement | ProposalRefused]:
        quoted.trade(quoted.order("sell", 2))
        quoted.drain()
        monkeypatch.undo()
        return act(survey)

    monkeypatch.setattr(maker, "act", act_late)
    maker.step()
    assert quoted.hash("quote:*", "AAA")["position_version"] == "0"
    maker.step()
    assert quoted.hash("quote:*", "AAA")["position_version"] == "1"


def test_success_for_an_order_that_vanished(quoted: World) -> None:
    """Every report of a fill names a ledger record, and every ledger record has its report."""
    for number in range(5):
        quoted.trade(quoted.order("buy", 3, order_id=f"n{number}"))
    reported = {report.fill_id: report.cum_lots for report in quoted.reports() if report.cum_lots}
    assert reported == {fill.fill_id: fill.qty_lots for fill in quoted.fills()}
    assert sum(reported.values()) == 10


def test_retry_after_a_crash_trading_again(quoted: World) -> None:
    """An order sent again to a fresh exchange, after requotes, still gets its first outcome."""
    order = quoted.order("buy", 3)
    quoted.send(order)
    quoted.exchange("1").step()
    quoted.drain()
    quoted.maker().step()
    quoted.send(order)
    quoted.exchange("2").step()
    first, again = quoted.reports()
    assert again.duplicate
    assert (again.fill_id, again.price_ticks) == (first.fill_id, first.price_ticks)
    assert len(quoted.fills()) == 1


def test_a_system_that_starts_and_never_quotes(make_world: MakeWorld) -> None:
    """From empty keys one step of a maker quotes, and one order trades."""
    world = make_world()
    world.maker().step()
    assert all(world.quote_lots(name) for name in world.names)
    assert world.trade(world.order())[0].status == "filled"
