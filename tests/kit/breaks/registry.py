"""The edits that break an invariant, by what they break, and how they are made."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

from mm.store import StreamReader, execute, pairs, text
from tests.kit import World

Entry: TypeAlias = tuple[str, list[str]]


Break: TypeAlias = Callable[[World], None]


#: (the invariants that are broken, most often one, what breaks them)
BREAKS: list[tuple[tuple[str, ...], Break]] = []


#: What makes the archive one that cannot be read, so that nothing can be judged.
UNREADABLE: list[Break] = []


def breaks(*invariants: str) -> Callable[[Break], Break]:
    """Register a way to break an invariant, or some that say the same in two ways."""

    def register(one: Break) -> Break:
        BREAKS.append((invariants, one))
        return one

    return register


def unreadable(one: Break) -> Break:
    """Register a way to make the archive unreadable."""
    UNREADABLE.append(one)
    return one


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


def archive_file(world: World) -> Path:
    """Where the archive is."""
    return Path(world.hash("archive")["file"])


def edit_archive(world: World, query: str, *values: str | int) -> None:
    """Change rows of the archive, of which there must be some."""
    with closing(sqlite3.connect(archive_file(world))) as db, db:
        assert db.execute(query, values).rowcount > 0, query


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
