"""The live view: pure functions from a snapshot to what a terminal shows.

Nothing here reads a clock or a server: the instant is that of the snapshot. A :class:`History`
keeps what needs more than one instant: orders per second, and where columns and lines stand. The
caller feeds it, and runs the loop that draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
    sparkline,
)
from mm.terminal.history import History
from mm.terminal.keys import ViewState
from mm.terminal.money import view_money
from mm.terminal.partitions_table import partitions_pane
from mm.terminal.quotes_pane import (
    exposure_lines,
    lag_line,
    lag_words,
    symbols_lines,
    symbols_pane,
    waiting_line,
)
from mm.terminal.tables import names

#: The least lines of the bottom pane and of the symbols pane; with fewer they are left out.
BOTTOM_LEAST, SYMBOLS_LEAST = 4, 3
#: From this many lines on, symbols that need all of them leave a third to the bottom pane.
SHARED_FROM = 15


@dataclass(frozen=True)
class RunStatus:
    """What the screen shows beside the snapshot.

    ``server`` names the server (``valkey 9.1.2 (managed)``). ``weak`` are its settings with which
    an acknowledged write may be lost; None when it does not show its settings. ``notes`` is what
    the supervisor has done, oldest first, ``restarts`` its count by process name, and ``lost`` how
    the processes before have ended.
    ``stoppages`` is what stops trading now, the gravest first. ``placement`` is which node has
    which partition. ``replay`` says how far the replay of a tape is.
    """

    server: str
    weak: tuple[str, ...] | None = ()
    notes: tuple[str, ...] = ()
    restarts: Mapping[str, int] = field(default_factory=dict)
    lost: Mapping[str, Lost] = field(default_factory=dict)
    stoppages: tuple[Stoppage, ...] = ()
    placement: Placement | None = None
    replay: str = ""

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
    amount, money = config.exposure_amount, f" {config.currency}" if config.counts_money else ""
    parts = [
        timestamp(snapshot.now_ms),
        f"orders {snapshot.cursors.exchange_records} ({rate}/s)",
        f"fills {snapshot.cursors.state_records}",
        f"quotes {active_quotes(snapshot)}/{symbol_count(snapshot)}",
        *(f"{one.name} {amount(one.used_units)}/{amount(one.limit_units)}{money}" for one in both),
        f"lag {lag_words(snapshot)}",
    ]
    if status and status.replay:
        parts.append(status.replay)
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
    counts = [Text.assemble("quotes ", (active, "bold")), Text.assemble("fills ", (fills, "bold"))]
    return parts_line([lag_line(snapshot), *counts], width)


def _orders(snapshot: Snapshot, history: History, status: RunStatus, width: int) -> Text:
    """The orders, their rate, how far a replay is, and the rate of each of the last seconds."""
    count = Text.assemble("orders ", (grouped(snapshot.cursors.exchange_records), "bold"))
    replay = [Text(status.replay)] if status.replay else []
    rate = Text(f"{grouped(history.orders_per_s)}/s", "bold")
    line = parts_line([count, rate, *replay], width)
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

    In order of importance it shows profit, title, exposure, alerts, orders, symbols, numbers,
    processes, partitions and waiting symbols, latest fills and quote events. What does not fit is
    left out or cropped. Amber and red stand only on what needs a person. ``view`` is the order, the
    filter and the chosen symbol.
    """
    top = [title_line(snapshot, status, width)]
    if height >= 5:
        top[:0] = view_money(snapshot, history.profits.tracks, width)[: max(1, height // 8)]
    if height >= 8:
        top.append(_orders(snapshot, history, status, width))
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
