"""What the reading requests ask for: the same facts as the commands' ``--json``."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from mm.audit import audit
from mm.errors import ForeignSystem, SystemRefused, ValueRefused, shown
from mm.explain import asked_story
from mm.facts import (
    SystemState,
    exposure_facts,
    positions_facts,
    quotes_facts,
    status_facts,
)
from mm.gateway.answers import JSON, Refused, check_names
from mm.gateway.links import ANSWER_S, LONG_S, Links
from mm.market import Instant, check_symbol, parse_instant
from mm.pnl import groups_of, pnl_rows
from mm.records import Rows, fill_rows, range_in, row_facts, sources_of
from mm.store import Scripts, Snapshot, read_placement, require_config, take_snapshot

#: The fills of an answer, where their number is not asked for, and at most.
FILLS, MAX_FILLS = 1_000, 10_000
#: The placements in a story, where their number is not asked for, and at most.
LAST, MAX_LAST = 10, 1_000
#: The most groups of an answer on profit.
MAX_GROUPS = 10_000


def status(scripts: Scripts) -> dict[str, object]:
    """As `mm status --json`."""
    found = take_snapshot(scripts)
    return _with_state(
        scripts, status_facts(found, read_placement(scripts, found.config.partitions))
    )


def positions(scripts: Scripts) -> list[dict[str, object]]:
    """As `mm positions --json`."""
    return positions_facts(take_snapshot(scripts))


def quotes(scripts: Scripts) -> list[dict[str, object]]:
    """As `mm quotes --json`."""
    return quotes_facts(take_snapshot(scripts))


def exposure(scripts: Scripts) -> dict[str, object]:
    """As `mm exposure --json`."""
    return _with_state(scripts, exposure_facts(take_snapshot(scripts)))


def audited(scripts: Scripts) -> dict[str, object]:
    """As `mm audit --json`."""
    return _with_state(scripts, audit(scripts).facts())


def _with_state(scripts: Scripts, facts: dict[str, object]) -> dict[str, object]:
    return facts | SystemState.now(scripts).facts()


@dataclass(frozen=True)
class Words:
    """The parameters of a request's URL; Refused (422) where one is not known or stands twice."""

    given: Mapping[str, list[str]]

    @classmethod
    def of(cls, request: Request, *known: str) -> Words:
        """Those of a request, of which these are known."""
        names = request.query_params.keys()
        check_names(dict.fromkeys(names), known)
        return cls({name: request.query_params.getlist(name) for name in names})

    def all(self, name: str) -> list[str]:
        """Each value of a parameter that may stand several times."""
        return self.given.get(name, [])

    def one(self, name: str) -> str | None:
        """The value of a parameter, None without it."""
        found = self.all(name)
        if len(found) > 1:
            raise Refused(422, "bad_value", f"{name}: it stands {len(found)} times, once is right")
        return found[0] if found else None

    def count(self, name: str, default: int, high: int) -> int:
        """A number from 1 on."""
        text = self.one(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) <= 9 and 1 <= int(text) <= high):
            raise Refused(
                422, "bad_value", f"{name} {shown(text)}: it must be an integer from 1 to {high}"
            )
        return int(text)

    def instant(self, name: str) -> Instant | None:
        """An instant such as ``5m``, or an ISO time."""
        text = self.one(name)
        return None if text is None else parse_instant(name, text)


async def answer(links: Links, read: Callable[[Scripts], Any], at_most_s: float = ANSWER_S) -> JSON:
    """The answer that a function reads as a viewer."""
    return JSON(await links.run(lambda: read(links.scripts()), at_most_s))


async def fills(links: Links, request: Request) -> JSON:
    """As `mm fills --json`: the newest ones that are asked for."""
    words = Words.of(request, "since", "until", "symbol", "limit")
    limit = words.count("limit", FILLS, MAX_FILLS)

    def read(snapshot: Snapshot, scripts: Scripts, words: Words) -> Rows:
        return fill_rows(sources_of(scripts, snapshot), snapshot, _range(snapshot, words))

    return await _rows(links, words, read, limit)


async def profit(links: Links, request: Request) -> JSON:
    """As `mm pnl --json`."""
    words = Words.of(request, "since", "until", "symbol", "by")
    by = groups_of(words.one("by") or "day,symbol")

    def read(snapshot: Snapshot, scripts: Scripts, words: Words) -> Rows:
        return pnl_rows(scripts, snapshot, _range(snapshot, words), by)[0]

    return await _rows(links, words, read, MAX_GROUPS)


def _range(snapshot: Snapshot, words: Words) -> Any:
    symbols = [check_symbol(name) for name in words.all("symbol")]
    return range_in(snapshot, words.instant("since"), words.instant("until"), symbols)


async def _rows(
    links: Links, words: Words, read: Callable[[Snapshot, Scripts, Words], Rows], limit: int
) -> JSON:
    # Words are judged before the server is asked.
    for name in ("since", "until"):
        words.instant(name)

    def work(scripts: Scripts) -> Sequence[Mapping[str, object]]:
        rows = read(take_snapshot(scripts), scripts, words)
        return list(deque(row_facts(rows), maxlen=limit))

    return await answer(links, work, LONG_S)


async def explained(links: Links, request: Request) -> JSON:
    """As `mm explain SYMBOL --json`."""
    words = Words.of(request, "last", "since", "fill", "order")
    last, begin = words.count("last", LAST, MAX_LAST), words.instant("since")
    fill, order = words.one("fill"), words.one("order")
    if sum(one is not None for one in (begin, fill, order)) > 1:
        raise Refused(422, "bad_value", "since, fill and order: one of them may be given")
    symbol = request.path_params["symbol"]

    def work(scripts: Scripts) -> dict[str, object]:
        check_known(scripts, symbol)
        try:
            found = asked_story(scripts, symbol, last, begin, fill, order).facts()
        except ForeignSystem:
            raise
        except SystemRefused as error:
            raise Refused(404, "not_found", str(error)) from error
        return _with_state(scripts, found)

    return await answer(links, work)


def check_known(scripts: Scripts, symbol: str) -> None:
    """Refused (404) for a symbol that the system does not have."""
    config = require_config(scripts)
    try:
        config.symbol(check_symbol(symbol))
    except ValueRefused:
        names = " ".join(itertools.islice((one.name for one in config.symbols), 12))
        raise Refused(
            404, "not_found", f"symbol {shown(symbol)}: this system has no such symbol, but {names}"
        ) from None
