"""The live view: pure functions from a snapshot to what a terminal shows.

Nothing here reads a clock or a server: the instant is that of the snapshot. A :class:`History`
keeps what needs more than one instant: orders per second, and where columns and lines stand. The
caller feeds it, and runs the loop that draws.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from rich.console import Group, RenderableType
from rich.text import Text

from mm.facts import (
    HALT,
    FoundDurability,
    Lost,
    Stoppage,
    active_quotes,
    budgets,
    found_durability,
    halts,
    operator_halts,
    process_rows,
    symbol_count,
    total_profit,
)
from mm.instant import clock, timestamp
from mm.store import Placement, Snapshot
from mm.terminal.activity_pane import bottom_lines, bottom_pane
from mm.terminal.draw import (
    BAD,
    QUIET,
    cut,
    grouped,
    parts_line,
    plain,
    signed,
    sparkline,
)
from mm.terminal.keys import ViewState
from mm.terminal.partitions_table import partitions_pane
from mm.terminal.quotes_pane import (
    Layout,
    exposure_lines,
    lag_line,
    lag_words,
    symbols_lines,
    symbols_pane,
    waiting_line,
)
from mm.terminal.tables import names

#: Snapshots remembered: about four minutes at four frames a second.
REMEMBERED = 1_000
#: Orders per second are the mean over this time.
RATE_MS = 2_000
#: The least lines of the bottom pane and of the symbols pane; with fewer they are left out.
BOTTOM_LEAST, SYMBOLS_LEAST = 4, 3
#: From this many lines on, symbols that need all of them leave a third to the bottom pane.
SHARED_FROM = 15


@dataclass
class History:
    """What a screen keeps from one frame to the next.

    That is the ``layout``, and the orders processed at the instants of successive snapshots, the
    newest ``REMEMBERED``. They start again when the clock or the count goes back: the system is
    another one, or its clock was set back.
    """

    layout: Layout = field(default_factory=Layout)
    _samples: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def add(self, snapshot: Snapshot) -> None:
        """Remember a snapshot's instant, its count of orders processed and its fills."""
        self.layout.listing.activity.add(snapshot)
        now, orders = snapshot.now_ms, snapshot.cursors.exchange_records
        if self._samples and (now < self._samples[-1][0] or orders < self._samples[-1][1]):
            self._samples.clear()
        if self._samples and now == self._samples[-1][0]:
            self._samples.pop()
        self._samples.append((now, orders))

    @property
    def known(self) -> bool:
        """Whether a rate is known: that needs two snapshots."""
        return len(self._samples) >= 2

    @property
    def orders_per_s(self) -> int:
        """Orders per second over the last two seconds or a little more; 0 when not known."""
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

        At most ``seconds`` of them, fewer when less is remembered. Orders between two snapshots
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
class RunStatus:
    """What the screen shows beside the snapshot.

    ``server`` names the server (``valkey 9.1.2 (managed)``). ``weak`` are its settings with which
    an acknowledged write may be lost; None when it does not show its settings. ``notes`` is what
    the supervisor has done, oldest first, ``restarts`` its count by process name, and ``lost`` how
    the processes before have ended.
    ``stoppages`` is what stops trading now, the gravest first. ``placement`` is which node has
    which partition.
    """

    server: str
    weak: tuple[str, ...] | None = ()
    notes: tuple[str, ...] = ()
    restarts: Mapping[str, int] = field(default_factory=dict)
    lost: Mapping[str, Lost] = field(default_factory=dict)
    stoppages: tuple[Stoppage, ...] = ()
    placement: Placement | None = None

    def beside_halts(self, expected: bool) -> list[str]:
        """The words of the stoppages that are no halts: the expected ones, or the others."""
        found = (one for one in self.stoppages if not one.cause.startswith(HALT))
        return [plain(one.words) for one in found if one.expected is expected]

    def durability(self, snapshot: Snapshot) -> FoundDurability:
        """The durability of the running system."""
        return found_durability(snapshot.config.durability, self.weak)


def status_line(snapshot: Snapshot, history: History, status: RunStatus | None = None) -> str:
    """The system in one plain line, which begins with the time of the snapshot.

    Without ``status`` it does not say how durable writes are.
    """
    rows = process_rows(snapshot, status.restarts if status else None)
    reported = sum(row.rate_per_s or 0 for row in rows if row.kind == "exchange")
    rate = history.orders_per_s if history.known else reported
    both, config = budgets(snapshot), snapshot.config
    amount, money = config.exposure_amount, f" {config.currency}" if config.currency else ""
    parts = [
        timestamp(snapshot.now_ms),
        f"orders {snapshot.cursors.exchange_records} ({rate}/s)",
        f"fills {snapshot.cursors.state_records}",
        f"quotes {active_quotes(snapshot)}/{symbol_count(snapshot)}",
        *(f"{one.name} {amount(one.used_units)}/{amount(one.limit_units)}{money}" for one in both),
        f"lag {lag_words(snapshot)}",
    ]
    if silent := [row.name for row in rows if row.state == "silent"]:
        parts.append(f"silent {names(silent, 4)}")
    if halted := list(halts(snapshot)):
        parts.append(f"HALTED {names(halted, 4)}")
    if (by_operators := operator_halts(snapshot)) or not halted:
        parts.append(f"halted {by_operators}")
    parts.append(f"restarts {sum(row.restarts for row in rows)}")
    if status and (warning := status.durability(snapshot).warning):
        parts.append(warning)
    if status:
        parts += [f"TROUBLE: {words}" for words in status.beside_halts(expected=False)]
        parts += status.beside_halts(expected=True)
    return "  ".join(parts)


def title_line(snapshot: Snapshot, status: RunStatus, width: int) -> Text:
    """Durability, then server and time as far as there is room for them."""
    durability = status.durability(snapshot)
    style = "bold white on blue"
    line = Text.assemble((" mm ", style))
    line.append(f" {durability.text} ", "bold white on red" if durability.warning else style)
    time, server = f" {clock(snapshot.now_ms)} ", f" {plain(status.server)} "
    if line.cell_len + len(server) + len(time) <= width:
        line.append(server, style)
    space = max(width - line.cell_len, 0)
    full = f" {timestamp(snapshot.now_ms)} "
    time = next((one for one in (full, time) if len(one) <= space), "")
    return cut(line.append(time.rjust(space), style), width)


def _numbers(snapshot: Snapshot, width: int) -> Text:
    """The system in numbers, the most important first, since narrow screens lack the last ones."""
    total = symbol_count(snapshot)
    active = f"{grouped(active_quotes(snapshot))} of {grouped(total)}"
    fills = grouped(snapshot.cursors.state_records)
    profit = Text("profit ").append_text(signed(total_profit(snapshot)))
    if total > len(snapshot.symbols):
        profit = Text("profit: see `mm positions`", QUIET)
    counts = [Text.assemble("quotes ", (active, "bold")), Text.assemble("fills ", (fills, "bold"))]
    return parts_line([lag_line(snapshot), *counts, profit], width)


def _orders(snapshot: Snapshot, history: History, width: int) -> Text:
    """The orders, their rate, and the rate of each of the last seconds."""
    count = Text.assemble("orders ", (grouped(snapshot.cursors.exchange_records), "bold"))
    line = parts_line([count, Text(f"{grouped(history.orders_per_s)}/s", "bold")], width)
    series = history.series(min(max(width - line.cell_len - 24, 0), 120))
    if not series:
        return line
    peak = Text(f"{len(series)} s, peak {grouped(max(series))}/s", QUIET)
    return parts_line([line, Text(sparkline(series), QUIET), peak], width, " ")


def alert_lines(
    snapshot: Snapshot, status: RunStatus, width: int, max_lines: int, with_expected: bool = True
) -> list[Text]:
    """What needs attention: what stops all trading, halts, weak durability, the latest notes."""
    halted = list(halts(snapshot).items())
    lines = [
        Text.assemble((f"HALTED {name}", f"bold reverse {BAD}"), f" {plain(why)}")
        for name, why in halted
    ]
    trouble = status.beside_halts(expected=False)[: max(max_lines // 2, 1)]
    shown = max(max_lines - 1 - len(trouble), 1)
    if len(lines) > shown:
        others = Text(f" and {grouped(len(lines) - shown)} more halted", f"bold {BAD}")
        lines = [*lines[: shown - 1], lines[shown - 1].append_text(others)]
    lines = [*(Text(f"TROUBLE: {words}", f"bold {BAD}") for words in trouble), *lines]
    durability = status.durability(snapshot)
    if durability.warning:
        _, _, risk = durability.warning.partition(durability.text)
        lines.append(Text.assemble((f"! {durability.text}", f"bold {BAD}"), plain(risk)))
    if with_expected:
        lines += [Text(f"- {words}") for words in status.beside_halts(expected=True)]
    lines += [Text(f"- {plain(note)}") for note in reversed(status.notes)]
    return [cut(line, width) for line in lines[:max_lines]]


def market_screen(
    snapshot: Snapshot,
    history: History,
    status: RunStatus,
    width: int,
    height: int,
    view: ViewState | None = None,
) -> RenderableType:
    """The whole market, in at most ``height`` lines of at most ``width`` cells.

    In order of importance it shows title, exposure, alerts, orders, symbols, numbers, processes,
    partitions and waiting symbols, latest fills and quote events. What does not fit is left out or
    cropped. Amber and red stand only on what needs a person. ``view`` is the order, the filter and
    the chosen symbol.
    """
    top = [title_line(snapshot, status, width)]
    if height >= 8:
        top.append(_orders(snapshot, history, width))
    if height >= 12:
        top.append(_numbers(snapshot, width))
    top += exposure_lines(snapshot, width)
    if height >= 20:
        top += partitions_pane(snapshot, status.placement, width, height // 4)
        top.append(waiting_line(snapshot, width))
    top += alert_lines(snapshot, status, width, max(1, height // 8))
    parts, left = top[:height], height - len(top)
    bottom = left - symbols_lines(snapshot)
    if left >= SHARED_FROM:
        bottom = max(bottom, min(bottom_lines(snapshot, status.restarts), left // 3))
    if bottom < BOTTOM_LEAST:
        bottom = 0
    if left - bottom >= SYMBOLS_LEAST:
        parts += symbols_pane(snapshot, width, left - bottom, history.layout, view)
    if bottom:
        parts += bottom_pane(snapshot, status.restarts, width, bottom)
    return Group(*parts)
