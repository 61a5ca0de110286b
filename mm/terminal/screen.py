"""The live view: pure functions from a snapshot to what a terminal shows.

Nothing here reads a clock or a server: the instant is the snapshot's, and what needs more than one
instant (orders per second) is kept in a :class:`History` that the caller feeds. The loop that
draws is the caller's too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

from rich.console import Group, RenderableType
from rich.text import Text

from mm.facts import (
    active_quotes,
    halts,
    mark_of,
    number,
    process_rows,
    profit_of,
    symbol_count,
)
from mm.store import Snapshot
from mm.terminal.activity_pane import bottom_lines, bottom_pane
from mm.terminal.draw import BAD, GOOD, QUIET, WARN, cut, grouped, plain, signed, sparkline
from mm.terminal.quotes_pane import (
    exposure_lines,
    lag_words,
    symbols_lines,
    symbols_pane,
    waiting_line,
)
from mm.terminal.tables import names

STRONG = "durability always"
#: Snapshots remembered: about four minutes at four frames a second.
REMEMBERED = 1_000
#: Orders per second "now" is the mean over this long.
RATE_MS = 2_000
#: Lines below which the bottom pane, and that of the symbols, are left out.
BOTTOM_LEAST, SYMBOLS_LEAST = 4, 3
#: From so many lines on, symbols that need all of them leave a third to the bottom pane.
SHARED_FROM = 15


@dataclass
class History:
    """Orders processed at the instants of successive snapshots, the newest ``REMEMBERED``.

    A snapshot whose clock or count has gone back (another system, a clock set back) starts afresh.
    """

    _samples: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def add(self, snapshot: Snapshot) -> None:
        """Remember a snapshot's instant and its count of orders processed."""
        now, orders = snapshot.now_ms, number(snapshot.cursors, "exchange_records")
        if self._samples and (now < self._samples[-1][0] or orders < self._samples[-1][1]):
            self._samples.clear()
        if self._samples and now == self._samples[-1][0]:
            self._samples.pop()
        self._samples.append((now, orders))

    @property
    def known(self) -> bool:
        """Whether there are two snapshots, and so a rate."""
        return len(self._samples) >= 2

    @property
    def orders_per_s(self) -> int:
        """Orders per second over the last two seconds or a little more; 0 before two snapshots."""
        if not self.known:
            return 0
        until, orders = self._samples[-1]
        since, before = self._samples[-2]
        for instant, count in reversed(self._samples):
            since, before = instant, count
            if until - instant >= RATE_MS:
                break
        return ((orders - before) * 1_000 + (until - since) // 2) // (until - since)

    def series(self, seconds: int) -> list[int]:
        """Orders in each of the last whole seconds of the server's clock, oldest first.

        At most ``seconds`` of them, fewer when less is remembered. Between two snapshots orders
        count as evenly spread.
        """
        if len(self._samples) < 2:
            return []
        first = -(-self._samples[0][0] // 1_000)
        last = self._samples[-1][0] // 1_000
        edges = range(max(first, last - seconds), last + 1)
        counts, pairs = [], pairwise(self._samples)
        (since, before), (until, orders) = next(pairs)
        for edge in edges:
            while until < edge * 1_000:
                (since, before), (until, orders) = next(pairs)
            counts.append(before + (orders - before) * (edge * 1_000 - since) // (until - since))
        return [after - before for before, after in pairwise(counts)]


@dataclass(frozen=True)
class Supervision:
    """What the screen says beside the snapshot.

    ``server`` is what serves (``valkey 9.1.2 (managed)``), ``durability`` what it promises
    (``always``, or ``relaxed`` with the reason), ``notes`` what the supervisor has done, oldest
    first, ``restarts`` its count by process name.
    """

    server: str
    durability: str
    notes: tuple[str, ...] = ()
    restarts: Mapping[str, int] = field(default_factory=dict)


def durability_words(snapshot: Snapshot, supervision: Supervision) -> tuple[str, str]:
    """``durability always``, or in capitals what is weaker, in fact or by configuration; why."""
    said, _, why = plain(supervision.durability).partition(":")
    if snapshot.config.durability == "relaxed":
        said, why = "relaxed", why or "by configuration"
    return f"durability {said if said == 'always' else said.upper()}", why.strip()


def status_line(snapshot: Snapshot, history: History, supervision: Supervision) -> str:
    """The system in one plain line."""
    exposure = snapshot.exposure
    limit = number(exposure, "limit_units")
    rows = process_rows(snapshot, supervision.restarts)
    told = sum(row.rate_per_s or 0 for row in rows if row.kind == "exchange")
    rate = history.orders_per_s if history.known else told
    parts = [
        f"orders {number(snapshot.cursors, 'exchange_records')} ({rate}/s)",
        f"fills {number(snapshot.cursors, 'state_records')}",
        f"quotes {active_quotes(snapshot)}/{symbol_count(snapshot)}",
        f"long {number(exposure, 'bid_units')}/{limit}",
        f"short {number(exposure, 'ask_units')}/{limit}",
        f"lag {lag_words(snapshot)}",
    ]
    if silent := [row.name for row in rows if row.state == "silent"]:
        parts.append(f"silent {names(silent, 4)}")
    halted = list(halts(snapshot))
    parts.append(f"HALTED {names(halted, 4)}" if halted else "halted 0")
    parts.append(f"restarts {sum(row.restarts for row in rows)}")
    durability, why = durability_words(snapshot, supervision)
    if durability != STRONG:
        parts.append(durability + (f" ({why})" if why else ""))
    return "  ".join(parts)


def _title(snapshot: Snapshot, supervision: Supervision, width: int) -> Text:
    durability, _ = durability_words(snapshot, supervision)
    style = "bold white on blue"
    line = Text.assemble((" mm ", style))
    line.append(f" {durability} ", style if durability == STRONG else "bold white on red")
    line.append(f" {plain(supervision.server)} ", style)
    try:
        instant = datetime.fromtimestamp(snapshot.now_ms // 1_000, UTC)
        time = instant.strftime("%Y-%m-%d %H:%M:%S UTC ")
    except (OverflowError, ValueError, OSError):
        time = ""
    space = width - line.cell_len
    line.append(time.rjust(space) if len(time) <= space else " " * space, style)
    return cut(line, width)


def _total_profit(snapshot: Snapshot) -> str:
    marked = ((state, mark_of(state, snapshot.now_ms)) for state in snapshot.symbols.values())
    return f"{sum((Decimal(profit_of(*one).total) for one in marked), Decimal(0)):f}"


def _numbers(snapshot: Snapshot, width: int) -> Text:
    """The system in numbers; the most important first, since the end is cropped when narrow."""
    line = Text.assemble("lag ", (lag_words(snapshot), "bold"))
    total = symbol_count(snapshot)
    active = active_quotes(snapshot)
    line.append("  quotes ").append(f"{grouped(active)} of {grouped(total)}", "bold")
    line.append("  fills ").append(grouped(number(snapshot.cursors, "state_records")), "bold")
    if total == len(snapshot.symbols):
        line.append("  profit ").append_text(signed(_total_profit(snapshot)))
    return cut(line, width)


def _orders(snapshot: Snapshot, history: History, width: int) -> Text:
    line = Text.assemble(
        "orders ",
        (grouped(number(snapshot.cursors, "exchange_records")), "bold"),
        "  ",
        (f"{grouped(history.orders_per_s)}/s", f"bold {GOOD}"),
        " ",
    )
    series = history.series(min(max(width - line.cell_len - 24, 0), 120))
    if series:
        line.append(sparkline(series), GOOD)
        line.append(f" {len(series)} s, peak {grouped(max(series))}/s", QUIET)
    return cut(line, width)


def _alerts(snapshot: Snapshot, supervision: Supervision, width: int, most: int) -> list[Text]:
    """What must not be overlooked: halts first, then weak durability, then the latest notes."""
    halted = list(halts(snapshot).items())
    lines = [
        Text.assemble((f"HALTED {name}", f"bold reverse {BAD}"), f" {plain(why)}")
        for name, why in halted
    ]
    if len(lines) > max(most - 1, 1):
        shown = max(most - 1, 1)
        others = Text(f" and {grouped(len(lines) - shown)} more halted", f"bold {BAD}")
        lines = [*lines[: shown - 1], lines[shown - 1].append_text(others)]
    durability, why = durability_words(snapshot, supervision)
    if durability != STRONG:
        said = f": acknowledged orders may be lost{f' ({why})' if why else ''}"
        lines.append(Text.assemble((f"! {durability}", f"bold {BAD}"), said))
    for note in reversed(supervision.notes):
        lines.append(Text.assemble(("! ", f"bold {WARN}"), plain(note)))
    return [cut(line, width) for line in lines[:most]]


def market_screen(
    snapshot: Snapshot, history: History, supervision: Supervision, width: int, height: int
) -> RenderableType:
    """The whole view, at most ``height`` lines of at most ``width`` cells.

    In order of importance: title, exposure, alerts, orders, symbols, numbers, processes, waiting
    queues, latest fills and quote events; what does not fit is left out or cut short.
    """
    top = [_title(snapshot, supervision, width)]
    if height >= 8:
        top.append(_orders(snapshot, history, width))
    if height >= 12:
        top.append(_numbers(snapshot, width))
    top += exposure_lines(snapshot, width)
    if height >= 20:
        top.append(waiting_line(snapshot, width))
    top += _alerts(snapshot, supervision, width, max(1, height // 8))
    parts, left = top[:height], height - len(top)
    bottom = left - symbols_lines(snapshot)
    if left >= SHARED_FROM:
        bottom = max(bottom, min(bottom_lines(snapshot, supervision.restarts), left // 3))
    if bottom < BOTTOM_LEAST:
        bottom = 0
    if left - bottom >= SYMBOLS_LEAST:
        parts += symbols_pane(snapshot, width, left - bottom)
    if bottom:
        parts += bottom_pane(snapshot, supervision.restarts, width, bottom)
    return Group(*parts)
