"""Edits of quotes, reservations, modes and limits."""

from __future__ import annotations

from mm.market import MAX_INT
from mm.store import execute
from tests.kit import World
from tests.kit.breaks.registry import add, breaks, edit_event, executed_event, quoted, set_field


@breaks("one-quote")
def stale_quote_version(world: World) -> None:
    """The symbol claims a newer version than was ever placed."""
    add(world, "symbol:*", quoted(world), "quote_version", 1)


@breaks("one-quote")
def changed_quote(world: World) -> None:
    """The quote's price is not the one that was placed."""
    add(world, "quote:*", quoted(world), "bid_ticks", -1)


@breaks("one-quote")
def old_quote(world: World) -> None:
    """The quote is of an older version than the symbol's newest."""
    add(world, "quote:*", quoted(world), "quote_version", -1)


@breaks("one-quote")
def repeated_version(world: World) -> None:
    """A version stands on the quote stream twice."""
    event = next(event for event in world.events("AAA") if event["event"] == "active")
    words = [word for item in event.items() for word in item]
    execute(world.client, "XADD", world.keys.named("quotes"), "*", *words)


@breaks("one-quote")
def quote_that_never_expires(world: World) -> None:
    """The quote's key carries no expiry."""
    execute(world.client, "PERSIST", world.keys.member("quote:*", quoted(world)))


@breaks("one-quote")
def end_recorded_twice(world: World) -> None:
    """A quote's end is recorded a second time."""
    event = next(event for event in world.events() if event["event"] == "expired")
    words = [word for item in event.items() for word in item]
    execute(world.client, "XADD", world.keys.named("quotes"), "*", *words)


@breaks("exposure-bounded")
def limit_below_the_total(world: World) -> None:
    """More is reserved than the limit."""
    set_field(world, "exposure", None, "limit_units", 1)
    set_field(world, "config", None, "limit_units", 1)


@breaks("exposure-bounded")
def another_limit(world: World) -> None:
    """The limit in force is not the one agreed on."""
    add(world, "exposure", None, "limit_units", 1)


@breaks("exposure-exact")
def total_off(world: World) -> None:
    """A total is not the sum of the reservations."""
    add(world, "exposure", None, "bid_units", -1)


@breaks("exposure-exact")
def reservation_off(world: World) -> None:
    """A reservation is not its quote's remaining quantity."""
    add(world, "reservation:*", quoted(world), "ask_units", 1)


@breaks("exposure-exact")
def remaining_off(world: World) -> None:
    """A quote's remaining quantity is not its reservation."""
    add(world, "quote:*", quoted(world), "ask_lots", -1)


@breaks("exposure-exact")
def all_three_off(world: World) -> None:
    """Total, reservation and quote agree, but not with the ledger."""
    for name, member, field in (
        ("exposure", None, "ask_units"),
        ("reservation:*", quoted(world), "ask_units"),
        ("quote:*", quoted(world), "ask_lots"),
    ):
        add(world, name, member, field, -1)


@breaks("exposure-exact")
def units_of_another_size(world: World) -> None:
    """A tick x lot counts another number of units than it is worth."""
    set_field(world, "terms:*", "AAA", "notional_units", 2)


@breaks("exposure-exact")
def currency_that_is_none(world: World) -> None:
    """The currency of all prices is no name of one."""
    set_field(world, "config", None, "currency", "5")


@breaks("exposure-exact")
def unit_of_lots(world: World) -> None:
    """A lot is said to be another unit."""
    set_field(world, "config", None, "notional_unit", "0.1")


@breaks("exposure-exact")
def quote_deleted(world: World) -> None:
    """A reservation has no quote."""
    world.client.delete(world.keys.member("quote:*", quoted(world)))


@breaks("exposure-exact")
def deadline_deleted(world: World) -> None:
    """Nothing would end the quote."""
    world.client.zrem(world.keys.named("expiry"), quoted(world))


@breaks("exposure-exact")
def expired_for_long(world: World) -> None:
    """Reservations outlive their quotes by more than a second, although a process lives."""
    world.advance(world.config.quote_ttl_ms + 1_001)
    world.beat("exchange-1")


@breaks("gate-kept")
def fill_uncommitted_when_placed(world: World) -> None:
    """A quote was placed with a fill uncommitted."""
    index, event, _ = executed_event(world)
    edit_event(world, index, fill_seq=int(event["fill_seq"]) + 1)


@breaks("gate-kept")
def placed_at_another_version(world: World) -> None:
    """Both numbers moved together: only the ledger shows it."""
    for index, event in enumerate(world.events()):
        higher = int(event["fill_seq"]) + 1
        after = [one for one in world.events(event["symbol"]) if int(one["fill_seq"]) >= higher]
        newest = world.hash("symbol:*", event["symbol"])["quote_version"]
        if event["event"] == "active" and event["quote_version"] != newest and after:
            edit_event(world, index, fill_seq=higher, position_version=higher)
            return


@breaks("position-limited")
def lower_position_limit(world: World) -> None:
    """The position has been past the limit."""
    set_field(world, "terms:*", "AAA", "position_limit_lots", 2)


@breaks("position-limited")
def quote_past_a_lower_limit(world: World) -> None:
    """The limit was lowered for later quotes, and those that stand were left."""
    for name in world.names:
        limit = world.hash("terms:*", name)["position_limit_lots"]
        set_field(world, "terms:*", name, "widest_limit_lots", limit)
        set_field(world, "terms:*", name, "position_limit_lots", 1)


@breaks("mode-kept")
def quoted_while_halted(world: World) -> None:
    """All symbols are halted, and the quotes were left."""
    world.client.hset(world.keys.named("control"), "mode", "halted")


@breaks("mode-kept")
def quoted_beyond_the_position(world: World) -> None:
    """The symbols may only shrink their positions, and the quotes on both sides were left."""
    world.client.hset(world.keys.named("control"), "mode", "reducing")


@breaks("mode-kept")
def mode_that_is_none(world: World) -> None:
    """A foreign word stands for a mode."""
    world.client.hset(world.keys.member("terms:*", "BBB"), "mode", "asleep")


@breaks("mode-kept")
def quoted_while_frozen(world: World) -> None:
    """The symbols are frozen, and the quotes were left."""
    for name in world.names:
        set_field(world, "position:*", name, "frozen_until_ms", MAX_INT)


@breaks("mode-kept")
def window_with_a_gap(world: World) -> None:
    """What a protection counts does not go on where it was."""
    entries = ("1 0 4 0", "2 5 6 0")
    execute(world.client, "RPUSH", world.keys.member("window:*", "AAA"), *entries)
