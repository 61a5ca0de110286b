"""The typed snapshot: what its records hold, and what they refuse."""

from __future__ import annotations

import re

import pytest

from mm.errors import SystemRefused
from mm.market import Position
from mm.store import (
    Cursors,
    EventSide,
    LiveQuote,
    ProcessInfo,
    QuoteEvent,
    QuoteSide,
    Reservation,
    execute,
    read_config,
    require_config,
    take_snapshot,
)
from tests.kit import Fake, World, small_config


def damaged(world: World, key: str, name: str, value: str) -> None:
    """Write a field as a foreign program might; ``key`` is without the prefix."""
    world.client.hset(f"{world.keys.prefix}:{key}", name, value)


def test_every_field_of_a_live_quote(fake_world: World) -> None:
    """A live quote has its versions, both sides as remaining and as placed, and its maker."""
    fake_world.propose("AAA", bid=98, ask=102, bid_lots=5, maker="maker-7")
    fake_world.trade(fake_world.order("sell", 2))
    state = take_snapshot(fake_world.scripts).symbols["AAA"]
    expires_ms = fake_world.now_ms() + 30_000
    bid, ask = QuoteSide(98, lots=3, size_lots=5), QuoteSide(102, lots=10, size_lots=10)
    assert state.quote == LiveQuote("AAA-1", 1, bid, ask, 0, expires_ms, "maker-7")
    assert (state.quote.side("bid"), state.quote.side("ask")) == (bid, ask)
    assert state.reservation == Reservation("AAA-1", 3, 10, expires_ms, "active")
    assert (state.fill_seq, state.quote_version, state.outcome) == (1, 1, "granted")


def test_cursors_and_processes(fake_world: World) -> None:
    """Cursors have the ids and counts of both consumers; a heartbeat has all its fields."""
    assert take_snapshot(fake_world.scripts).cursors == Cursors("0-0", 0, "0-0", 0)
    fake_world.propose()
    fake_world.trade(fake_world.order())
    fake_world.beat("maker-1", 3, pid=12, fields={"restarts": "4"})
    found = take_snapshot(fake_world.scripts)
    assert found.cursors == Cursors(found.streams["orders"].last_id, 1, "0-0", 0)
    assert found.processes == {
        "maker-1": ProcessInfo("maker", found.now_ms, 3, 0, 12, 4, found.now_ms)
    }


def test_a_process_whose_hash_has_expired(fake_world: World) -> None:
    """A process that is only listed has the kind of its name and no heartbeat."""
    execute(fake_world.client, "ZADD", fake_world.keys.named("processes"), 1, "state-2")
    (info,) = take_snapshot(fake_world.scripts).processes.values()
    assert info == ProcessInfo.unheard("state-2") == ProcessInfo("state", 0, 0, 0, None, 0)


def test_a_missing_position_reads_as_an_empty_one(fake_world: World) -> None:
    """Without its hashes a symbol has an empty position and no reservation."""
    for family in ("position:*", "reservation:*"):
        fake_world.client.delete(fake_world.keys.member(family, "AAA"))
    state = take_snapshot(fake_world.scripts).symbols["AAA"]
    assert (state.position, state.last_fill_id, state.updated_ms) == (Position(), None, 0)
    assert state.reservation is None


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("exposure", "bid_units"),
        ("cursors", "exchange_records"),
        ("symbol:AAA", "fill_seq"),
        ("symbol:AAA", "quote_version"),
        ("position:AAA", "net_lots"),
        ("position:AAA", "updated_ms"),
        ("quote:AAA", "bid_size_lots"),
        ("quote:AAA", "position_version"),
        ("reservation:AAA", "ask_units"),
        ("process:maker-1", "heartbeat_ms"),
    ],
)
@pytest.mark.parametrize("value", ["lots", "", "1.5", "+1", "12345678901234567"])
def test_damaged_numbers_are_refused(fake_world: World, key: str, name: str, value: str) -> None:
    """A field that holds no integer is refused, and the error names key, field and value."""
    fake_world.propose("AAA")
    fake_world.beat("maker-1")
    damaged(fake_world, key, name, value)
    said = re.escape(f"{{mm}}:{key}: {name} {value!r}: it must be an integer")
    with pytest.raises(SystemRefused, match=said):
        take_snapshot(fake_world.scripts)


@pytest.mark.parametrize(("key", "name"), [("exposure", "limit_units"), ("quote:AAA", "maker_id")])
def test_missing_fields_are_refused(fake_world: World, key: str, name: str) -> None:
    """A field that must exist is refused when it is missing, by key and name."""
    fake_world.propose("AAA")
    fake_world.client.hdel(f"{fake_world.keys.prefix}:{key}", name)
    with pytest.raises(SystemRefused, match=re.escape(f"{{mm}}:{key}: the field '{name}' is")):
        take_snapshot(fake_world.scripts)


class TestEvents:
    def test_placement_and_end(self, fake: Fake) -> None:
        """A placement has what was placed and requested; the end of its quote repeats it."""
        world = World(fake, small_config(2, limit=15))
        world.propose("AAA")
        world.propose("BBB", bid=98, ask=102, maker="maker-2")
        world.advance(30_000)
        world.scripts.expire()
        found = take_snapshot(world.scripts, recent=10).events
        assert [event.event for event in found] == ["expired", "expired", "active", "active"]
        placed = found[2]
        assert placed == QuoteEvent(
            entry_id=placed.entry_id,
            event="active",
            symbol="BBB",
            quote_id="BBB-1",
            ts_ms=world.now_ms() - 30_000,
            outcome="reduced",
            quote_version=1,
            bid=EventSide("bid", 98, 5, 10),
            ask=EventSide("ask", 102, 5, 10),
            position_version=0,
            fill_seq=0,
            expires_ms=world.now_ms(),
            maker_id="maker-2",
            trigger="bootstrap",
            mode="active",
        )
        assert placed.is_placement and placed.entry_ms == placed.ts_ms
        (end,) = [event for event in found[:2] if event.symbol == "BBB"]
        assert (end.bid, end.trigger, end.ts_ms) == (placed.bid, "bootstrap", world.now_ms())
        assert not end.is_placement

    def test_omission_is_a_placement(self, fake: Fake) -> None:
        """An omission is a placement although its event is a withdrawal."""
        world = World(fake, small_config(2, limit=10))
        world.propose("AAA")
        world.propose("BBB")
        newest = take_snapshot(world.scripts, recent=1).events[0]
        assert (newest.event, newest.outcome) == ("withdrawn", "omitted")
        assert newest.is_placement

    def test_end_of_a_trimmed_placement(self, fake_world: World) -> None:
        """The end of a quote whose placement is gone has no values, but symbol, id and time."""
        fake_world.propose("AAA")
        fake_world.client.delete(fake_world.keys.named("quotes"))
        fake_world.advance(30_000)
        fake_world.scripts.expire()
        (end,) = take_snapshot(fake_world.scripts, recent=5).events
        assert end == QuoteEvent(end.entry_id, "expired", "AAA", "AAA-1", fake_world.now_ms())

    def test_foreign_entries_are_left_out(self, fake_world: World) -> None:
        """Entries of foreign programs on the quotes and fills streams are left out."""
        fake_world.propose("AAA")
        fake_world.trade(fake_world.order("sell", 1))
        quotes, fills = fake_world.keys.named("quotes"), fake_world.keys.named("fills")
        execute(fake_world.client, "XADD", quotes, "*", "event", "active")
        words = ["event", "a", "symbol", "b", "quote_id", "c", "ts_ms", "no time"]
        execute(fake_world.client, "XADD", quotes, "*", *words)
        execute(fake_world.client, "XADD", fills, "*", "AAA-2", "no fill")
        found = take_snapshot(fake_world.scripts, recent=10)
        assert [event.quote_id for event in found.events] == ["AAA-1"]
        assert [fill.fill_id for fill in found.fills] == ["AAA-1"]


class TestConfig:
    def test_there_is_a_system(self, fake_world: World) -> None:
        """Both ways to read the configuration give that of the system."""
        assert read_config(fake_world.scripts) == fake_world.config
        assert require_config(fake_world.scripts) == fake_world.config

    def test_there_is_no_system(self, fake: Fake) -> None:
        """Without a system read_config returns None, and the readers refuse with one text."""
        world = World(fake, small_config(), setup=False)
        assert read_config(world.scripts) is None
        for read in (require_config, take_snapshot):
            with pytest.raises(SystemRefused, match=r"no system runs under the key prefix \{mm\}"):
                read(world.scripts)
