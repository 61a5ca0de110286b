"""Edits of the ledger, its archive, and the positions."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from mm.market import Fill
from mm.store import execute, text
from tests.kit import World
from tests.kit.breaks.registry import (
    add,
    archive_file,
    breaks,
    edit_archive,
    edit_event,
    edit_record,
    executed_event,
    rewrite,
    set_field,
    unreadable,
)


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
def first_kept_fill_deleted(world: World) -> None:
    """The ledger's first entry is gone, and was not trimmed: the archive does not stand for it."""
    rewrite(world, world.keys.named("fills"), lambda entries: entries[1:])


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


#: The place of a fill that only the archive has, and its columns.
TRIMMED = 3


def _add_to_archived_fill(world: World, word: int, by: int) -> None:
    with closing(sqlite3.connect(archive_file(world))) as db:
        line = db.execute("SELECT line FROM fills WHERE place = ?", (TRIMMED,)).fetchone()[0]
    words = line.split(" ")
    words[word] = str(int(words[word]) + by)
    edit_archive(world, "UPDATE fills SET line = ? WHERE place = ?", " ".join(words), TRIMMED)


@breaks("archive-whole")
def archived_fill_altered(world: World) -> None:
    """A fill of the archive was made a millisecond earlier, which no other record can deny."""
    _add_to_archived_fill(world, 6, -1)


@breaks("archive-whole")
def archived_lots_altered(world: World) -> None:
    """A fill of the archive has more lots: position, memory and reports, which deny it, are right.

    It is far more than its quote had, than the position limit allows, and than its order wanted.
    """
    _add_to_archived_fill(world, 1, 1_000)


@breaks("archive-whole")
def link_altered(world: World) -> None:
    """A link of the chain is another one."""
    edit_archive(world, "UPDATE fills SET link = zeroblob(16) WHERE place = ?", TRIMMED)


@breaks("archive-whole")
def archived_copy_missing(world: World) -> None:
    """The archive lacks a fill that the ledger still has."""
    (first, *_) = world.kept_fills()
    edit_archive(
        world, "DELETE FROM fills WHERE symbol = ? AND number = ?", first.symbol, first.seq
    )


@breaks("archive-whole")
def archived_order_altered(world: World) -> None:
    """An archived order is another one than the one that came."""
    edit_archive(
        world, "UPDATE entries SET flat = replace(flat, 'buy', 'sell') WHERE flat LIKE '% buy %'"
    )


@breaks("archive-whole")
def archived_outcomes_altered(world: World) -> None:
    """What became of archived orders is another thing, as no key can tell any more."""
    edit_archive(
        world,
        "UPDATE entries SET outcomes = replace(outcomes, ' filled ', ' canceled ')"
        " WHERE outcomes LIKE '% filled %'",
    )


@breaks("archive-whole")
def archived_events_missing(world: World) -> None:
    """Some quote events of the archive are gone."""
    edit_archive(world, "DELETE FROM entries WHERE stream = ? AND number IN (2, 4, 6)", "quotes")


@breaks("archive-whole")
def archived_beginning_missing(world: World) -> None:
    """The oldest archived orders are gone, and were not removed by retention."""
    edit_archive(world, "DELETE FROM entries WHERE stream = ? AND number < 5", "orders")


@breaks("archive-whole")
def archived_beginning_moved(world: World) -> None:
    """The archive says that older orders were removed than were."""
    edit_archive(world, "UPDATE streams SET number = number + 4 WHERE stream = ?", "orders")


@breaks("archive-whole")
def archived_beginning_altered(world: World) -> None:
    """The archive says that the orders go on from another entry than they do."""
    edit_archive(world, "UPDATE streams SET link = zeroblob(16) WHERE stream = ?", "orders")


@breaks("archive-whole")
def mark_altered(world: World) -> None:
    """A mark does not have the position that its fills make."""
    edit_archive(
        world,
        "UPDATE marks SET position = json_set(position, '$.cash_ticks', '7') WHERE symbol = 'AAA'",
    )


@breaks("archive-whole")
def archive_of_another_system(world: World) -> None:
    """The archive says that it is of another system."""
    edit_archive(world, "UPDATE about SET value = '00' WHERE name = 'system_id'")


@breaks("archive-whole")
def said_to_be_trimmed(world: World) -> None:
    """The ledger still has what is said to be in the archive only."""
    set_field(world, "archive", None, "trimmed_to", world.stream("fills")[0][0])


@breaks("archive-whole")
def heads_forgotten(world: World) -> None:
    """Nothing says any more what the archive must have."""
    world.client.delete(world.keys.named("archived"))


@unreadable
def archive_missing(world: World) -> None:
    """There is no file."""
    archive_file(world).unlink()


@unreadable
def archive_is_rubbish(world: World) -> None:
    """The file is no database."""
    archive_file(world).write_bytes(b"rubbish" * 1_000)


@unreadable
def archive_is_another(world: World) -> None:
    """The file is that of another archive."""
    edit_archive(world, "UPDATE about SET value = '0123456789abcdef' WHERE name = 'archive_id'")


@unreadable
def archive_is_older(world: World) -> None:
    """The file lacks the newest fills that were archived."""
    edit_archive(world, "DELETE FROM fills WHERE place > ?", TRIMMED)


@unreadable
def archive_lacks_newest_events(world: World) -> None:
    """The file lacks the newest quote events that were archived."""
    edit_archive(
        world,
        "DELETE FROM entries WHERE stream = 'quotes' AND number >"
        " (SELECT max(number) - 3 FROM entries WHERE stream = 'quotes')",
    )


@unreadable
def archive_without_orders(world: World) -> None:
    """The file has no order, and does not say that it ever had one."""
    edit_archive(world, "DELETE FROM entries WHERE stream = 'orders'")
    edit_archive(world, "DELETE FROM streams WHERE stream = 'orders'")


@unreadable
def head_of_a_stream_altered(world: World) -> None:
    """The keys say that another order was archived than the one that the archive has."""
    number = world.hash("archived")["orders"].split(" ")[0]
    set_field(world, "archived", None, "orders", f"{number} {'00' * 16}")


@unreadable
def archive_of_a_later_form(world: World) -> None:
    """The file was written by a later version."""
    edit_archive(world, "UPDATE about SET value = '9' WHERE name = 'form'")


@unreadable
def head_altered(world: World) -> None:
    """The keys say that another fill was archived than the one that the archive has."""
    number = world.hash("archived")["AAA"].split(" ")[0]
    set_field(world, "archived", None, "AAA", f"{number} {'00' * 16}")


@unreadable
def head_is_rubbish(world: World) -> None:
    """What the keys say of a symbol's newest archived fill is no number and no link."""
    set_field(world, "archived", None, "AAA", "x")


@unreadable
def archive_forgotten(world: World) -> None:
    """Nothing says any more where the archive is."""
    world.client.hdel(world.keys.named("archive"), "file", "id")


@breaks("position-exact", "archive-whole")
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


@breaks("fills-within-quote", "archive-whole")
def other_spread_in_a_fill(world: World) -> None:
    """A fill's spread is not that of its quote; the position has it so, but no earlier mark."""
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


@breaks("position-exact", "archive-whole")
def undo_a_commit(world: World) -> None:
    """A position as it was before its fills, which the state service's cursor has passed."""
    numbers = ("net_lots", "cash_ticks", "cost_ticks", "position_version", "last_price_ticks")
    for field in numbers:
        set_field(world, "position:*", "AAA", field, 0)
    set_field(world, "position:*", "AAA", "last_fill_id", "-")


@breaks("position-exact", "archive-whole")
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
        # Fills that the position has not are archived.
        also = ["archive-whole"] if (field, by) == ("position_version", -1) else []
        breaks("position-exact", *also)(off)


_register_position_fields()
