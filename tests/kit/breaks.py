"""Ways to break each invariant by editing keys, as a foreign program or a fault would."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from mm.market import MAX_INT, Fill
from mm.store import StreamReader, execute, pairs, text
from tests.kit import World

Entry: TypeAlias = tuple[str, list[str]]
Break: TypeAlias = Callable[[World], None]

#: (invariant, what breaks it)
BREAKS: list[tuple[str, Break]] = []


def breaks(invariant: str) -> Callable[[Break], Break]:
    """Register a way to break an invariant."""

    def register(one: Break) -> Break:
        BREAKS.append((invariant, one))
        return one

    return register


# --- editing keys


def rewrite(world: World, key: str, change: Callable[[list[Entry]], list[Entry]]) -> None:
    """Replace a stream by what ``change`` makes of its entries, ids kept."""
    reader = StreamReader(world.scripts)
    entries = [
        (text(entry), [text(word) for word in flat])
        for entry, flat in reader.entries(key, f"{2**62}-0")
    ]
    world.client.delete(key)
    for entry, words in change(entries):
        execute(world.client, "XADD", key, entry, *words)


def edit_event(world: World, index: int, **changes: str | int) -> None:
    """Change fields of a quote event, counted from the oldest."""

    def change(entries: list[Entry]) -> list[Entry]:
        entry, words = entries[index]
        fields = pairs(words) | {name: str(value) for name, value in changes.items()}
        entries[index] = entry, [word for item in fields.items() for word in item]
        return entries

    rewrite(world, world.keys.named("quotes"), change)


def executed_event(world: World) -> tuple[int, dict[str, str], str]:
    """An executed placement that has been replaced since: its index, the event, the side filled."""
    events = world.events()
    for fill in world.fills():
        for index, event in enumerate(events):
            newest = world.hash("symbol:*", fill.symbol)["quote_version"]
            if event["quote_id"] == fill.quote_id and event["quote_version"] != newest:
                return index, event, "ask" if fill.side == "buy" else "bid"
    raise AssertionError("no such quote")


def edit_record(world: World, key: str, index: int, edit: Callable[[list[str]], None]) -> None:
    """Let ``edit`` change the words ``[name, *line]`` of a stream's record."""

    def change(entries: list[Entry]) -> list[Entry]:
        entry, words = entries[index]
        record = [words[0], *words[1].split(" ")]
        edit(record)
        entries[index] = entry, [record[0], " ".join(record[1:]), *words[2:]]
        return entries

    rewrite(world, key, change)


def quoted(world: World) -> str:
    """A symbol whose quote stands with something left on both sides."""
    return next(name for name in world.names if all(world.quote_lots(name) or (0, 0)))


def add(world: World, name: str, member: str | None, field: str, by: int) -> None:
    """Add to a number in a hash."""
    key = world.keys.named(name) if member is None else world.keys.member(name, member)
    execute(world.client, "HINCRBY", key, field, by)


def set_field(world: World, name: str, member: str | None, field: str, value: str | int) -> None:
    """Set a field of a hash."""
    key = world.keys.named(name) if member is None else world.keys.member(name, member)
    execute(world.client, "HSET", key, field, value)


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


@breaks("ledger-dense")
def fill_seq_off(world: World) -> None:
    """The symbol claims more fills than the ledger holds."""
    add(world, "symbol:*", "AAA", "fill_seq", 1)


@breaks("ledger-dense")
def last_fill_deleted(world: World) -> None:
    """The ledger's last fill is gone."""
    rewrite(world, world.keys.named("fills"), lambda entries: entries[:-1])
    last = world.stream("fills")[-1][0]
    set_field(world, "cursors", None, "state", last)


@breaks("ledger-dense")
def fill_deleted(world: World) -> None:
    """A fill in the middle is gone."""
    rewrite(world, world.keys.named("fills"), lambda entries: entries[:3] + entries[4:])


@breaks("ledger-dense")
def fill_repeated(world: World) -> None:
    """A fill stands in the ledger twice."""
    fill_id, line = world.records("fills")[5]
    entry = execute(world.client, "XADD", world.keys.named("fills"), "*", fill_id, line)
    set_field(world, "cursors", None, "state", text(entry))


@breaks("ledger-dense")
def rubbish_in_the_ledger(world: World) -> None:
    """A record of the ledger is no fill."""
    entry = execute(world.client, "XADD", world.keys.named("fills"), "*", "x", "not a fill")
    set_field(world, "cursors", None, "state", text(entry))


@breaks("position-exact")
def position_deleted(world: World) -> None:
    """A position is gone."""
    world.client.delete(world.keys.member("position:*", "AAA"))


@breaks("position-exact")
def other_last_fill(world: World) -> None:
    """The position names another fill as its last."""
    set_field(world, "position:*", "AAA", "last_fill_id", "AAA-1")


@breaks("fills-within-quote")
def other_price_placed(world: World) -> None:
    """A fill's price is not its quote's."""
    index, event, side = executed_event(world)
    by = 1 if side == "ask" else -1
    edit_event(world, index, **{f"{side}_ticks": int(event[f"{side}_ticks"]) + by})


@breaks("fills-within-quote")
def other_spread_in_a_fill(world: World) -> None:
    """A fill's spread is not that of its quote."""
    fill_id, line = world.stream("fills")[3][1][0]

    def wider(words: list[str]) -> None:
        words[-1] = str(int(words[-1]) + 1)

    edit_record(world, world.keys.named("fills"), 3, wider)
    fill = Fill.parse(fill_id, line)
    add(world, "position:*", fill.symbol, "twice_spread_ticks", fill.qty_lots)


@breaks("fills-within-quote")
def smaller_size_placed(world: World) -> None:
    """More was filled than the quote's size."""
    index, _, side = executed_event(world)
    edit_event(world, index, **{f"{side}_lots": 0})


@breaks("fills-within-quote")
def expired_before_its_fill(world: World) -> None:
    """A fill's time is not before its quote's expiry."""
    index, event, _ = executed_event(world)
    edit_event(world, index, expires_ms=event["ts_ms"])


def first_outcome(world: World) -> tuple[str, str, list[str]]:
    """A remembered outcome with a fill: its hash, its order, the words of content and outcome."""
    for bucket in StreamReader(world.scripts).members("seen:*"):
        for order, value in world.hash("seen:*", bucket).items():
            if " partially_filled " in value:
                return bucket, order, value.split(" ")
    raise AssertionError("nothing was filled")


@breaks("order-once")
def other_quantity_remembered(world: World) -> None:
    """The outcome's quantity is not that of the order's fill."""
    bucket, order, words = first_outcome(world)
    words[6] = str(int(words[6]) + 1)
    set_field(world, "seen:*", bucket, order, " ".join(words))


@breaks("order-once")
def other_content_remembered(world: World) -> None:
    """The remembered order is not the one that was sent, and nobody was answered so."""
    bucket, order, words = first_outcome(world)
    words[2] = str(int(words[2]) + 1)
    set_field(world, "seen:*", bucket, order, " ".join(words))


@breaks("order-once")
def conflict_remembered(world: World) -> None:
    """A refusal for another order's id is remembered as that id's own outcome."""
    bucket = StreamReader(world.scripts).members("seen:*")[0]
    value = "AAA buy 1 1 rejected order_id_conflict 0 - - -"
    set_field(world, "seen:*", bucket, "c1/never-sent", value)


@breaks("order-once")
def conflict_without_an_order(world: World) -> None:
    """An order is refused for an id that no order has."""
    line = f"rejected order_id_conflict 0 - - - 0 {world.now_ms()}"
    key = world.keys.member("reports:*", "c1")
    execute(world.client, "XADD", key, "*", "never-sent", line)


@breaks("order-once")
def outcome_forgotten(world: World) -> None:
    """A fill's outcome is not remembered."""
    bucket, order, _ = first_outcome(world)
    world.client.hdel(world.keys.member("seen:*", bucket), order)


@breaks("order-once")
def outcome_contradicts_itself(world: World) -> None:
    """An outcome is canceled and has a fill."""
    bucket, order, words = first_outcome(world)
    set_field(world, "seen:*", bucket, order, " ".join([*words[:4], "canceled", *words[5:]]))


@breaks("order-once")
def outcome_in_two_windows(world: World) -> None:
    """An order has two outcomes."""
    bucket, order, words = first_outcome(world)
    set_field(world, "seen:*", str(int(bucket) + 1), order, " ".join(words))


def report_index(world: World, wanted: Callable[[str], bool]) -> int:
    """The number of the first report of c1 that is wanted."""
    lines = [line for _, line in world.records("reports:*", "c1")]
    return next(index for index, line in enumerate(lines) if wanted(line))


def edit_report(
    world: World, wanted: Callable[[str], bool], edit: Callable[[list[str]], None]
) -> None:
    """Let ``edit`` change the words of the first report of c1 that is wanted."""
    key = world.keys.member("reports:*", "c1")
    rewrite(world, key, split_entries)
    edit_record(world, key, report_index(world, wanted), edit)


def split_entries(entries: list[Entry]) -> list[Entry]:
    """An entry a record, in the same order."""
    flat = [(words[i], words[i + 1]) for _, words in entries for i in range(0, len(words), 2)]
    return [(f"1-{number + 1}", list(record)) for number, record in enumerate(flat)]


@breaks("order-once")
def report_of_another_price(world: World) -> None:
    """A report has another price than the ledger."""
    edit_report(world, lambda line: line.startswith("filled"), lambda words: replace(words, 4, "7"))


def replace(words: list[str], index: int, word: str) -> None:
    """Replace one word."""
    words[index] = word


@breaks("order-once")
def duplicate_not_marked(world: World) -> None:
    """An order has two first reports."""
    edit_report(world, lambda line: line.split(" ")[6] == "1", lambda words: replace(words, 7, "0"))


@breaks("order-once")
def order_smaller_than_its_fill(world: World) -> None:
    """More was filled than ordered, as order and memory agree."""
    key = world.keys.named("orders")
    filled = next(fill for fill in world.fills() if fill.qty_lots > 1)
    names = [name for name, _ in world.records("orders")]
    edit_record(world, key, names.index(filled.order_id), lambda words: replace(words, 4, "1"))
    order = f"{filled.client_id}/{filled.order_id}"
    for bucket in StreamReader(world.scripts).members("seen:*"):
        if value := world.hash("seen:*", bucket).get(order):
            words = value.split(" ")
            set_field(world, "seen:*", bucket, order, " ".join([*words[:2], "1", *words[3:]]))


@breaks("order-once")
def order_executed_twice(world: World) -> None:
    """Two fills of one order: the ledger, the memory and the reports agree on both."""
    first, second = [fill for fill in world.fills() if fill.client_id == "c1"][:2]
    index = [name for name, _ in world.records("fills")].index(second.fill_id)
    rewrite(world, world.keys.named("fills"), split_fills)
    edit_record(
        world, world.keys.named("fills"), index, lambda words: replace(words, 5, first.order_id)
    )


def split_fills(entries: list[Entry]) -> list[Entry]:
    """An entry a fill, the last one's id kept: the state service's cursor names it."""
    last = entries[-1][0]
    found = split_entries(entries)
    return [*found[:-1], (last, found[-1][1])]


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


@breaks("drained")
def order_waits(world: World) -> None:
    """An order waits to be matched."""
    world.send(world.order())


@breaks("drained")
def order_in_an_inbox(world: World) -> None:
    """An order waits to be taken from its client's inbox."""
    world.admit("c7")
    world.send_to_inbox("c7", "o1", "c7 AAA buy 1 1")


@breaks("drained")
def inbox_of_nobody(world: World) -> None:
    """A foreign hand has appended to the inbox of a client that is not admitted."""
    world.send_to_inbox("c8", "o1", "c8 AAA buy 1 1")


@breaks("drained")
def state_behind(world: World) -> None:
    """A fill waits to be committed."""
    set_field(world, "cursors", None, "state", world.stream("fills")[-2][0])


@breaks("position-exact")
def undo_a_commit(world: World) -> None:
    """A position as it was before its fills, which the state service's cursor has passed."""
    numbers = ("net_lots", "cash_ticks", "cost_ticks", "position_version", "last_price_ticks")
    for field in numbers:
        set_field(world, "position:*", "AAA", field, 0)
    set_field(world, "position:*", "AAA", "last_fill_id", "-")


@breaks("position-exact")
def halted_before_a_commit(world: World) -> None:
    """A symbol is halted, and fills that were reported are not in its position."""
    undo_a_commit(world)
    set_field(world, "position:*", "AAA", "halted", "overflow")


@breaks("position-exact")
def other_last_trades(world: World) -> None:
    """The last trades of a position are not those of its ledger."""
    set_field(world, "position:*", "AAA", "trades", "1 100")


def _register_position_fields() -> None:
    for field, by in (
        ("net_lots", 1),
        ("cash_ticks", 1),
        ("cost_ticks", 1),
        ("last_price_ticks", 1),
        ("twice_spread_ticks", 1),
        ("fair_ticks", 1),
        ("fair_rest", 1),
        ("position_version", -1),
        ("position_version", 1),
    ):

        def off(world: World, field: str = field, by: int = by) -> None:
            add(world, "position:*", "AAA", field, by)

        off.__name__ = f"{field}_{'up' if by > 0 else 'down'}"
        breaks("position-exact")(off)


_register_position_fields()
