"""What the keys hold, read with plain commands, and the contract's invariants judged from that.

Nothing here goes through the code under test.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
import redis

from mm.audit import audit
from mm.errors import ForeignSystem
from mm.market import MAX_INT, Fill, Report
from mm.store import Keys, execute, text
from tests.kit.units import lot_units

if TYPE_CHECKING:
    from tests.kit import World

Dump: TypeAlias = dict[str, tuple[str, Any, int]]


def execute_flat(client: redis.Redis, *words: str | int) -> list[Any]:
    """A command's reply as a flat list, whatever shape the client library gives it."""
    reply = execute(client, *words)
    if isinstance(reply, dict):
        return [word for item in reply.items() for word in item]
    return list(reply)


def read_stream(client: redis.Redis, key: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """All entries of a stream with their records in order; a repeated name is kept."""
    entries = execute(client, "XRANGE", key, "-", "+")
    return [
        (text(entry), [(text(name), text(value)) for name, value in fields.items()])
        for entry, fields in entries
    ]


def dump(client: redis.Redis, keys: Keys) -> Dump:
    """Every key under the prefix: type, whole content, and the instant of its expiry (or -1)."""
    pattern = keys.prefix.replace("[", "\\[") + ":*"
    names = sorted(text(name) for name in execute(client, "KEYS", pattern))
    result: Dump = {}
    for name in names:
        kind = text(execute(client, "TYPE", name))
        expires = int(execute(client, "PEXPIRETIME", name))
        content: Any
        if kind == "hash":
            content = dict(client.hgetall(name))
        elif kind == "zset":
            content = execute(client, "ZRANGE", name, 0, -1, "WITHSCORES")
        elif kind == "stream":
            content = execute(client, "XRANGE", name, "-", "+")
        else:
            content = kind
        if kind != "none":  # expired between the two commands
            result[name] = (kind, content, expires)
    return result


def market_keys(world: World) -> Dump:
    """Every key except those of the processes themselves."""
    return {key: value for key, value in world.dump().items() if ":process" not in key}


def assert_only_for_its_system(world: World, gone: bool, call: Callable[[], object]) -> None:
    """Where the keys hold no system or another one, the call is refused and changes nothing."""
    key = world.keys.named("config")
    if gone:
        world.client.delete(key)
    else:
        world.client.hset(key, "system_id", "00000000000000bb")
    before = world.dump()
    with pytest.raises(ForeignSystem) as caught:
        call()
    assert world.dump() == before
    said = str(caught.value)
    assert "belongs to system 5151515151515151" in said
    assert ("holds no system" if gone else "holds system 00000000000000bb") in said


def effects(world: World) -> tuple[object, ...]:
    """What every step with an effect changes: cursors, totals, the number of quote events."""
    events = execute(world.client, "XLEN", world.keys.named("quotes"))
    return world.hash("cursors"), world.hash("exposure"), events


# --- invariants, judged from the keys alone


def assert_sound(world: World, quotes: bool = True) -> None:
    """Every invariant of the contract, from plain reads; ``quotes=False`` skips the quote stream's.

    The world must be at rest: no process may run meanwhile. The report streams and the quote
    stream must not have been trimmed. The system's own audit must find the same.
    """
    now = world.now_ms()
    _assert_exposure(world, now)
    ledger = _assert_ledger(world)
    _assert_orders(world, ledger)
    if quotes:
        _assert_quotes(world, ledger)
    verdict = audit(world.scripts)
    assert verdict.ok, [check.violations for check in verdict.checks if not check.ok]


def _assert_exposure(world: World, now: int) -> None:
    totals = world.hash("exposure")
    limit = int(totals.get("limit_units", "0"))
    lease = world.hash("lease")
    if lease:
        limit = int(lease["accepted"]) - int(lease["returned"])
    else:
        assert limit == world.config.limit_units
    scores = world.ranked("expiry")
    for side in ("bid", "ask"):
        total = 0
        for symbol in world.names:
            held = world.hash("reservation:*", symbol)
            units = int(held[f"{side}_units"])
            quote = world.hash("quote:*", symbol)
            total += units
            if quote and int(quote["expires_ms"]) > now:
                unit = lot_units(world.config, symbol, int(quote[f"{side}_ticks"]))
                assert units == int(quote[f"{side}_lots"]) * unit, f"{symbol} {side} reservation"
                assert held["quote_id"] == quote["quote_id"]
                assert held["state"] == "active"
                assert scores[symbol] == int(quote["expires_ms"])
            elif units:
                assert symbol in scores, f"{symbol}: {units} units without a quote or a deadline"
        assert total == int(totals[f"{side}_units"]), f"{side} total"
        most, over_until = limit, int(totals.get("over_until_ms", "0"))
        if now <= over_until:
            most = max(limit, int(totals[f"over_{side}_units"]))
        elif over_until:
            total -= sum(
                int(world.hash("reservation:*", symbol)[f"{side}_units"])
                for symbol in world.names
                if scores.get(symbol, now) <= now
            )
        assert 0 <= total <= most, f"{side} total {total} off its bounds"


def _assert_ledger(world: World) -> list[Fill]:
    fills = world.fills()
    by_symbol: dict[str, list[Fill]] = defaultdict(list)
    for fill in fills:
        by_symbol[fill.symbol].append(fill)
    for symbol in world.names:
        own = by_symbol[symbol]
        state = world.hash("symbol:*", symbol)
        assert [fill.seq for fill in own] == list(range(1, len(own) + 1)), f"{symbol} ledger"
        assert int(state["fill_seq"]) == len(own)
        position = world.position(symbol)
        applied = own[: position["position_version"]]
        assert position["net_lots"] == sum(fill.signed_lots for fill in applied)
        cash = sum(-fill.signed_lots * fill.price_ticks for fill in applied)
        assert position["cash_ticks"] == cash, f"{symbol} cash"
        if applied:
            assert position["last_price_ticks"] == applied[-1].price_ticks
        terms = world.hash("terms:*", symbol)
        _assert_derived(world, symbol, applied, int(terms["fair_weight"]))
        limits = (terms["position_limit_lots"], terms.get("widest_limit_lots", "0"))
        assert abs(position["net_lots"]) <= max(map(int, limits))
    return fills


def _assert_derived(world: World, symbol: str, applied: Sequence[Fill], weight: int) -> None:
    """What the position holds for reports and quote rules follows from its fills."""
    stored = world.hash("position:*", symbol)
    earned = min(sum(fill.qty_lots * (fill.spread_ticks or 0) for fill in applied), MAX_INT)
    assert int(stored["twice_spread_ticks"]) == earned, f"{symbol} spread"
    fair = 0
    for fill in applied:
        there = 100 * fill.price_ticks
        # Rounded to the nearest hundredth, from the whole ticks below the fair price.
        whole, rest = divmod(fair, 100)
        moved = fair + weight * (fill.price_ticks - whole) - (weight * rest + 50) // 100
        fair = moved if fair else there
    assert (int(stored["fair_ticks"]), int(stored["fair_rest"])) == divmod(fair, 100)
    kept = [f"{fill.signed_lots} {fill.price_ticks}" for fill in applied if fill.spread_ticks]
    assert stored["trades"] == " ".join(kept[-16:]), f"{symbol} trades"


def _assert_orders(world: World, fills: Sequence[Fill]) -> None:
    filled: dict[tuple[str, str], int] = defaultdict(int)
    for fill in fills:
        filled[fill.client_id, fill.order_id] += fill.qty_lots
    outcomes: dict[tuple[str, str], Report] = {}
    prefix = world.keys.named("reports:*")
    for key in execute(world.client, "KEYS", prefix + "*"):
        client = text(key).removeprefix(prefix)
        for report in world.reports(client):
            name = client, report.order_id
            if report.reason == "bad_order_id":
                continue
            if report.reason == "order_id_conflict":
                assert name in outcomes, f"{name} conflicts with no order"
                assert (report.status, report.cum_lots, report.duplicate) == ("rejected", 0, False)
            elif not report.duplicate:
                assert name not in outcomes, f"two outcomes of {name}"
                outcomes[name] = report
            else:
                first = outcomes[name]
                assert (report.status, report.cum_lots, report.fill_id) == (
                    first.status,
                    first.cum_lots,
                    first.fill_id,
                )
    for name, report in outcomes.items():
        assert report.cum_lots == filled.pop(name, 0), f"report and fills of {name}"
        assert (report.cum_lots > 0) == (report.status in ("filled", "partially_filled"))
    assert not filled, f"fills without a report: {dict(filled)}"


def _assert_quotes(world: World, fills: Sequence[Fill]) -> None:
    placed: dict[str, dict[str, str]] = {}
    newest: dict[str, int] = defaultdict(int)
    for event in world.events():
        if event["event"] == "active" or event["outcome"] == "omitted":
            version = int(event["quote_version"])
            assert version > newest[event["symbol"]], f"version of {event}"
            assert event["quote_id"] == f"{event['symbol']}-{version}"
            assert event["position_version"] == event["fill_seq"], f"gate of {event}"
            assert 0 < int(event["bid_ticks"]) < int(event["ask_ticks"]) <= MAX_INT
            newest[event["symbol"]] = version
            placed[event["quote_id"]] = event
    for symbol in world.names:
        assert int(world.hash("symbol:*", symbol)["quote_version"]) == newest[symbol]
        quote = world.hash("quote:*", symbol)
        if quote:
            assert int(quote["quote_version"]) == newest[symbol]
    used: dict[tuple[str, str], int] = defaultdict(int)
    for fill in fills:
        event = placed[fill.quote_id]
        side = "ask" if fill.side == "buy" else "bid"
        assert fill.price_ticks == int(event[f"{side}_ticks"]), f"price of {fill}"
        assert fill.ts_ms < int(event["expires_ms"]), f"{fill} after the quote's expiry"
        used[fill.quote_id, side] += fill.qty_lots
        assert used[fill.quote_id, side] <= int(event[f"{side}_lots"]), f"{fill} beyond its quote"


def outcome(report: Report) -> tuple[Any, ...]:
    """What an order came to, without the ids and the time."""
    return report.status, report.reason, report.cum_lots, report.price_ticks
