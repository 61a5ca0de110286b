"""The records round one fill: from the placement before its quote to the placement after it.

What is read begins at the fill, wherever it is, and goes to its cause and to its effect. No
placement can come between a fill and the one that answers it, so this is little. Each direction is
bounded by a number of entries.
"""

from __future__ import annotations

from dataclasses import replace

from mm.errors import SystemRefused
from mm.explain.archived import position_at
from mm.explain.past import Past, position_before, quote_version_of
from mm.explain.sent import orders_of
from mm.market import Fill
from mm.store import Commit, QuoteEvent, pairs, stream_id_order


def read_around(past: Past, number: int) -> None:
    """Read the fill of this number, its quote, its commit, and the placement that answered it.

    SystemRefused when the symbol has no such fill, or when it is too far back.
    """
    name, newest = past.symbol.name, past.state.fill_seq
    if number > newest:
        raise SystemRefused(
            f"fill {name}-{number} is not in what is known of {name}: it has had {newest:,} fills"
        )
    found = _find(past, number)
    if found is None:
        looked = " ".join(past.notes) or "It is neither in the ledger nor in an archive."
        raise SystemRefused(f"fill {name}-{number} of {name} was not found. {looked}")
    entry_ms, fill = found
    past.fills[number] = fill
    _read_quotes(past, entry_ms, fill)
    answer = next(filter(lambda one: _answers(one, number), past.quotes), None)
    known = past.quotes and past.quotes[0].fill_seq < number
    first = past.quotes[0].fill_seq + 1 if known else number
    _read_fills(past, first, newest if answer is None else answer.fill_seq, number)
    _read_commits(past, entry_ms, fill, answer)
    past.orders = orders_of(past.reader, [fill])


def _answers(quote: QuoteEvent, number: int) -> bool:
    return quote.is_placement and quote.position_version >= number


def _find(past: Past, number: int) -> tuple[int, Fill] | None:
    """The fill, and the time in the id of its entry."""
    archive = past.reader.archive()
    if archive is not None:
        with archive:
            for one in archive.fills_of(past.symbol.name, number, number):
                return one.entry_id[0], Fill.parse(one.fill_id, one.line)
    for entry_ms, fills in past.fills_back():
        for fill in fills:
            if fill.seq == number:
                return entry_ms, fill
    return None


def _read_quotes(past: Past, entry_ms: int, fill: Fill) -> None:
    """The placement before the fill's quote, and all from there until the answer has ended."""
    version, newest_first = quote_version_of(fill), list[QuoteEvent]()
    for quote in past.quotes_back(entry_ms):
        newest_first.append(quote)
        if quote.is_placement and quote.quote_version < version:
            break
    past.quotes = newest_first[::-1]
    if past.quotes and past.quotes[0].quote_version == version:
        past.note_first_quote()
    answered = any(_answers(quote, fill.seq) for quote in past.quotes[:-1])
    if not answered:
        for quote in past.quotes_from(entry_ms + 1):
            past.quotes.append(quote)
            if any(_answers(one, fill.seq) for one in past.quotes[:-1]):
                break
    if not any(quote.quote_id == fill.quote_id for quote in past.quotes):
        past.notes.append(f"The quote {fill.quote_id} could not be read.")


def _read_fills(past: Past, first: int, last: int, number: int) -> None:
    """The fills from one number to another, and the position after the last one."""
    most = past.most_entries
    if first < number - most or last > number + most:
        first, last = max(first, number - most), min(last, number + most)
        past.notes.append(f"Only the {most:,} fills before and after this one are read.")
    archive, next_one = past.reader.archive(), first
    if archive is not None:
        with archive:
            for one in archive.fills_of(past.symbol.name, first, last):
                past.fills[one.number] = Fill.parse(one.fill_id, one.line)
                next_one = one.number + 1
            if next_one > last:
                past.base = position_at(archive, past.symbol.name, last)
                return
    position = replace(past.state.position, cost_ticks=0)
    for _, fills in past.fills_back():
        for fill in fills:
            if first <= fill.seq <= last:
                past.fills[fill.seq] = fill
            elif fill.seq == position.position_version:
                position = position_before(position, fill)
        if any(fill.seq == next_one for fill in fills):
            break
    past.base = position


def _read_commits(past: Past, entry_ms: int, fill: Fill, answer: QuoteEvent | None) -> None:
    """The commits from the fill's quote to the one that has the fill.

    A placement starts from a committed version. So the fill's commit is after that of its quote,
    and no later than that of the answer.
    """
    hit = next((one for one in past.quotes if one.quote_id == fill.quote_id), None)
    since_ms = entry_ms if hit is None else min(hit.entry_ms, hit.ts_ms)
    if hit is not None:
        kept_ms = stream_id_order(past.snapshot.streams["positions"].first_id)[0]
        past.version_before = hit.fill_seq if kept_ms <= since_ms or hit.fill_seq == 0 else None
    for _, flat in past.entries_from("positions", since_ms):
        line = pairs(flat).get(past.symbol.name)
        if line is None:
            continue
        try:
            commit = Commit.parse(line)
        except ValueError:
            continue  # the record of a foreign program
        if answer is not None and commit.version > answer.position_version:
            return
        if hit is None or commit.version > hit.fill_seq:
            past.commits.insert(0, commit)
        if commit.version >= fill.seq:
            return
