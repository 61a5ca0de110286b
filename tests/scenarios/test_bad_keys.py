"""A foreign program deletes a key of the system, each kind in turn.

A step that misses a key that holds money, exposure or memory of orders writes nothing (R19) and
says DAMAGED and the key. A symbol without its position halts (R15), and what has no quote is
released (R9). The next steps build all other keys again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from redis.exceptions import ResponseError

from mm.audit import audit
from mm.errors import ForeignKeys, ProposalRefused, SystemRefused
from mm.store import execute, take_snapshot, text
from tests.kit import Fake, MakeWorld, World, small_config
from tests.kit.crash import assert_audited

Steps = Callable[[World], object]
SMALL: dict[str, Any] = {"limit": 60, "quote_ttl_ms": 200, "refresh_ms": 50}


@pytest.fixture
def traded(make_world: MakeWorld) -> World:
    """Three symbols, quoted, with fills on both sides committed and one order sent twice."""
    return trade(make_world(3, **SMALL))


@pytest.fixture
def fake_traded(fake: Fake) -> World:
    """The same on fakeredis alone."""
    return trade(World(fake, small_config(3, **SMALL)))


def trade(world: World) -> World:
    """Quote, fill on both sides, commit, and send one order twice."""
    quote_all(world)
    sides = [world.order(side, 2, symbol=name) for name in world.names for side in ("buy", "sell")]
    world.trade(*sides, sides[0])
    world.drain()
    quote_all(world)
    return world


def quote_all(world: World) -> None:
    """What a maker does in one look at everything; it hears nothing at its first."""
    maker = world.maker()
    maker.step()
    maker.step()


def live(world: World) -> None:
    """More than a quote's life in the trader: orders, commits, makers, sweeps, heartbeats."""
    for _ in range(4):
        for name in world.names:
            world.send(world.order("buy", 1, symbol=name), world.order("sell", 1, symbol=name))
        world.drain()
        world.advance(70)
        world.scripts.expire()
        quote_all(world)
        world.beat("maker-1", 1)
    assert all(map(world.quote_lots, world.names))


def names_of(world: World, pattern: str) -> list[str]:
    """The existing keys that match, of which there must be one."""
    found = [text(key) for key in execute(world.client, "KEYS", f"{{mm}}:{pattern}")]
    assert found, pattern
    return found


@pytest.mark.parametrize(
    "pattern",
    [
        "quote:AAA",
        "expiry",
        "positions",
        "orders",
        "inbox:c1",
        "reports:c1",
        "waiting:bid",
        "waiting:ask",
        "deadletter",
        "processes",
        "process:*",
    ],
)
def test_what_heals(traded: World, pattern: str) -> None:
    """The next steps build it again: all symbols quoted, all orders answered, a clean audit."""
    world = traded
    world.send_raw("bad", "c1 AAA buy x 1")
    world.drain()
    world.beat("maker-1", 1)
    world.admit("c1")
    world.send_to_inbox("c1", "lost", "c1 AAA buy 1 1")
    if pattern != "inbox:c1":
        world.scripts.collect(10)
        world.drain()
    if pattern.startswith("waiting"):
        key = world.keys.named(pattern)
        execute(world.client, "ZADD", key, 1, "AAA")
    for key in names_of(world, pattern):
        world.client.delete(key)
    # A new stream starts at the clock: its first entry must come after the old one's last.
    world.advance(2)
    live(world)
    assert_audited(world, f"without {pattern}", quiescent=True)


def test_clients(traded: World) -> None:
    """Orders wait unread and the audit names their inbox, until the client is admitted again."""
    world = traded
    world.admit("c1")
    exchange = world.exchange()
    exchange.announce()
    world.client.delete(world.keys.named("clients"))
    exchange.announce()
    world.send_to_inbox("c1", "late", "c1 AAA buy 1 1")
    exchange.step(0)
    assert [report for report in world.reports("c1") if report.order_id == "late"] == []
    found = [line for check in audit(world.scripts).checks for line in check.violations]
    assert [line for line in found if "{mm}:inbox:c1: nobody reads it" in line] == found
    world.admit("c1")
    exchange.announce()
    while exchange.step(0):
        pass
    assert len([report for report in world.reports("c1") if report.order_id == "late"]) == 1
    world.drain()
    assert_audited(world, "with the client back", quiescent=True)


def test_quote_history(fake_traded: World) -> None:
    """Without the quote events trading goes on, soundly; the past can no longer be explained."""
    world = fake_traded
    world.client.delete(world.keys.named("quotes"))
    sweep(world)
    assert {event["event"] for event in world.events()} == {"expired"}
    live(world)
    assert_audited(world, "without quotes", quiescent=True)


def match_an_order(world: World) -> object:
    """A marketable order and a matching step."""
    world.send(world.order("buy", 1, symbol="AAA"))
    return world.scripts.match(10)


def commit(world: World) -> object:
    """A committing step."""
    return world.scripts.commit(10)


def place(world: World) -> object:
    """A placing step."""
    return world.scripts.place(world.proposal())


def sweep(world: World) -> object:
    """A sweep after all quotes have expired."""
    world.advance(world.config.quote_ttl_ms)
    return world.scripts.expire()


@pytest.mark.parametrize(
    ("pattern", "step"),
    [
        ("config", match_an_order),
        ("config", commit),
        ("config", place),
        ("config", sweep),
        ("cursors", match_an_order),
        ("cursors", commit),
        ("fills", match_an_order),
        ("seen:*", match_an_order),
        ("exposure", place),
        ("reservation:AAA", place),
    ],
)
def test_what_is_loud(traded: World, pattern: str, step: Steps) -> None:
    """The step names the key and writes nothing; with the key back, all goes on."""
    world = traded
    (key,) = names_of(world, pattern)
    stolen = "elsewhere{mm}"
    execute(world.client, "RENAME", key, stolen)
    before = {name: one for name, one in world.dump().items() if "orders" not in name}
    with pytest.raises(ResponseError, match=f"DAMAGED {key.replace('{', '.').replace('}', '.')} "):
        step(world)
    after = {name: one for name, one in world.dump().items() if "orders" not in name}
    quotes = world.keys.named("quote:*")
    gone = before.keys() - after.keys()
    assert all(name.startswith(quotes) for name in gone), "only an expired quote may go"
    assert after == {name: before[name] for name in after}
    execute(world.client, "RENAME", stolen, key)
    world.scripts.expire()
    live(world)
    assert_audited(world, f"with {pattern} back", quiescent=True)


@pytest.mark.parametrize(
    "pattern",
    ["cursors", "fills", "seen:*", "exposure", "reservation:AAA", "position:AAA", "config"],
)
def test_what_the_audit_says(fake_traded: World, pattern: str) -> None:
    """The audit sees that it is gone, even where no step has missed it yet."""
    world = fake_traded
    for key in names_of(world, pattern):
        world.client.delete(key)
    assert not audit(world.scripts).ok


def test_reservation_of_a_quote_that_is_hit(fake_traded: World) -> None:
    """After a fill, an expiry and a release the placing script still finds the reservation gone."""
    world = fake_traded
    world.client.delete(world.keys.member("reservation:*", "AAA"))
    world.trade(world.order("buy", 1, symbol="AAA"))
    world.drain()
    sweep(world)
    with pytest.raises(ResponseError, match="DAMAGED"):
        place(world)
    bid, ask = world.reserved()
    assert 0 <= bid <= 60 and 0 <= ask <= 60


def test_position(fake_traded: World) -> None:
    """The next fill of the symbol halts it, with a dead letter; the others trade on."""
    world = fake_traded
    world.client.delete(world.keys.member("position:*", "AAA"))
    world.trade(world.order("buy", 1, symbol="AAA"), world.order("buy", 1, symbol="BBB"))
    done = world.scripts.commit(10)
    assert "expected 1 got 3" in done.halts["AAA"]
    assert done.versions == {"BBB": 3}
    assert world.quote_lots("AAA") is None
    assert not audit(world.scripts).ok


@pytest.mark.parametrize("family", ["symbol:*", "terms:*"])
def test_symbol(fake_traded: World, family: str) -> None:
    """Its orders are rejected as of an unknown symbol, no maker quotes it, and the audit fails."""
    world = fake_traded
    world.client.delete(world.keys.member(family, "AAA"))
    (report,) = world.trade(world.order("buy", 1, symbol="AAA"))
    assert (report.status, report.reason) == ("rejected", "unknown_symbol")
    with pytest.raises(ProposalRefused, match="UNKNOWN_SYMBOL AAA"):
        world.propose("AAA")
    assert not audit(world.scripts).ok
    with pytest.raises(SystemRefused, match=f"{family[:-1]}AAA"):
        take_snapshot(world.scripts)


def test_terms_at_the_start_of_a_process(fake_traded: World) -> None:
    """Without its terms a symbol is not known, and no process starts."""
    world = fake_traded
    world.client.delete(world.keys.member("terms:*", "AAA"))
    with pytest.raises(SystemRefused, match="AAA"):
        world.maker().config  # noqa: B018  # reading it is the test
    with pytest.raises(SystemRefused):
        world.set_up()


def test_config_at_the_start_of_a_process(fake_traded: World) -> None:
    """Without its configuration the data is taken for another program's."""
    world = fake_traded
    world.client.delete(world.keys.named("config"))
    with pytest.raises(ForeignKeys):
        world.set_up()


def test_memory_of_orders_that_ended_by_itself(fake: Fake) -> None:
    """The hash of outcomes is missed until the instant of its own expiry, and not from then on."""
    window = 1_000
    world = World(fake, small_config(1, dedup_window_ms=window))
    world.trade(world.order())
    (key,) = names_of(world, "seen:*")
    ends = (int(key.rpartition(":")[2]) + 2) * window
    fake.set_ms(ends - 1)
    assert match_an_order(world)
    world.scripts.match(10)
    (newest,) = set(names_of(world, "seen:*")) - {key}
    world.client.delete(newest)
    with pytest.raises(ResponseError, match="DAMAGED"):
        match_an_order(world)
    ends += window
    fake.set_ms(ends - 1)
    with pytest.raises(ResponseError, match="DAMAGED"):
        match_an_order(world)
    fake.set_ms(ends)
    match_an_order(world)


def test_no_memory_of_orders_to_miss(fake: Fake) -> None:
    """Entries that leave no outcome behind leave no memory to miss either."""
    world = World(fake, small_config(1))
    for _ in range(2):
        world.send_raw("x", "bad/id AAA buy 1 100")
        assert world.scripts.match(10).rejected == 1
    assert world.hash("cursors")["seen_bucket"] == "-"
    assert not [key for key in world.dump() if ":seen:" in key]
    world.trade(world.order())
    bucket = world.hash("cursors")["seen_bucket"]
    world.send_raw("x", "bad/id AAA buy 1 100")
    world.scripts.match(10)
    assert world.hash("cursors")["seen_bucket"] == bucket
