"""The lower panes of the live view: processes, the latest fills, notable quote events."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from rich.text import Text

from mm.facts import process_rows
from mm.instant import clock
from mm.market import Fill
from mm.store import QuoteEvent, Snapshot
from mm.terminal.columns import Column, beside, choose, lines_of
from mm.terminal.draw import QUIET, cut, parts_line, plain, rule, short_count
from mm.terminal.tables import lag_text, none, state_text

#: From these widths on there is room for a wider process pane, and for three panes side by side.
MIDDLE, WIDE = 100, 150
#: Below this width only the processes are shown.
NARROW = 72
#: From this width on a fill's line names its order.
ROOMY = 50


def processes_pane(
    snapshot: Snapshot, restarts: Mapping[str, int], width: int, height: int
) -> list[Text]:
    """The processes, one on each line, under titles; silent ones first where not all fit."""
    shown = rows = process_rows(snapshot, restarts)
    if len(rows) > height - 1:
        shown = sorted(rows, key=lambda row: row.state != "silent")[: max(height - 2, 0)]
    rates = [
        none() if row.rate_per_s is None else Text(short_count(row.rate_per_s)) for row in shown
    ]
    pids = [none() if row.pid is None else Text(str(row.pid), QUIET) for row in shown]
    columns = [
        Column("process", [Text(plain(row.name)) for row in shown], right=False, least=11),
        Column("pid", pids, 2, least=7),
        Column("state", [state_text(row) for row in shown], 1, right=False, least=6),
        Column("restarts", [Text(str(row.restarts)) for row in shown], 5),
        Column("rate/s", rates, 4),
        Column("lag", [lag_text(row) for row in shown], 3, least=6),
    ]
    lines = lines_of(choose(columns, width), width, max_gap=2)
    if len(rows) > len(shown):
        lines.append(cut(Text(f"and {len(rows) - len(shown)} more", "italic"), width))
    return lines


def _dated(ts_ms: int, core: Text, width: int) -> Text:
    """A line with its time before it where there is room: the core itself is whole first."""
    stamp = Text(f"{clock(ts_ms)} ", QUIET)
    if stamp.cell_len + core.cell_len <= width:
        core = stamp.append_text(core)
    return core


def fill_line(snapshot: Snapshot, fill: Fill, width: int) -> Text:
    """A fill with the side of its order, and in wide panes with the order itself."""
    state = snapshot.symbols.get(fill.symbol)
    price = state.symbol.price(fill.price_ticks) if state else f"{fill.price_ticks} ticks"
    name = fill.symbol if width < ROOMY else fill.fill_id
    core = [Text(f"{name} {fill.side} {fill.qty_lots}"), Text(f"@ {price}")]
    line = _dated(fill.ts_ms, parts_line(core, width, " "), width)
    return parts_line([line, Text(f"order {fill.client_id}/{fill.order_id}", QUIET)], width, " ")


def notable(event: QuoteEvent) -> bool:
    """Whether a quote event is anything but a quote granted in full."""
    return event.event != "active" or event.outcome != "granted"


def event_line(event: QuoteEvent, width: int) -> Text:
    """A quote event: what was reduced, omitted, withdrawn or expired."""
    narrow = width < 40
    line = Text(f"{plain(event.symbol)} ")
    if event.event == "active":
        to, of = (" ", "/") if narrow else (" to ", " of ")
        placed = f"{event.bid.lots}x{event.ask.lots}"
        requested = f"{event.bid.requested_lots}x{event.ask.requested_lots}"
        line.append(f"{plain(event.outcome)}{to}{placed}{of}{requested}")
    elif event.is_placement:
        wanted = event.bid.requested_lots or event.ask.requested_lots
        why = ", nothing fits" if wanted else ", the rule asked for none"
        line.append("omitted" if narrow else f"omitted{why}")
    else:
        line = Text(plain(f"{event.quote_id} {event.event}"))
    return cut(_dated(event.ts_ms, line, width), width)


def fills_lines(snapshot: Snapshot, width: int, height: int) -> list[Text]:
    """The newest fills, as many as fit."""
    lines = [fill_line(snapshot, fill, width) for fill in islice(snapshot.fills, max(height, 0))]
    return lines or [cut(Text("no fills yet", QUIET), width)][: max(height, 0)]


def events_lines(snapshot: Snapshot, width: int, height: int) -> list[Text]:
    """The newest notable quote events, as many as fit."""
    found = islice(filter(notable, snapshot.events), max(height, 0))
    lines = [event_line(event, width) for event in found]
    return (
        lines or [cut(Text("no recent quote was reduced or ended", QUIET), width)][: max(height, 0)]
    )


def _parts(width: int) -> list[int]:
    """The widths of the panes, two cells apart."""
    if width < NARROW:
        return [width]
    if width < MIDDLE:
        return [42, width - 44]
    if width < WIDE:
        return [54, width - 56]
    rest = width - 58
    return [54, rest // 2, rest - rest // 2]


def bottom_pane(
    snapshot: Snapshot, restarts: Mapping[str, int], width: int, height: int
) -> list[Text]:
    """Processes, fills and quote events side by side, or the last two stacked, each with a rule.

    It takes at most ``height`` lines; ``height`` must be 4 at least.
    """
    parts, inner = _parts(width), height - 1
    panes = [[rule("processes", parts[0]), *processes_pane(snapshot, restarts, parts[0], inner)]]
    if len(parts) == 3:
        panes.append([rule("fills", parts[1]), *fills_lines(snapshot, parts[1], inner)])
        panes.append([rule("quote events", parts[2]), *events_lines(snapshot, parts[2], inner)])
    elif len(parts) == 2:
        events = (height - 2) // 2
        fills = height - 2 - events
        panes.append(
            [
                rule("fills", parts[1]),
                *fills_lines(snapshot, parts[1], fills),
                rule("quote events", parts[1]),
                *events_lines(snapshot, parts[1], events),
            ]
        )
    return beside(panes, parts, 2)


def bottom_lines(snapshot: Snapshot, restarts: Mapping[str, int]) -> int:
    """How many lines the pane needs for all processes: a rule, titles, and one for each."""
    return 2 + max(len(process_rows(snapshot, restarts)), 3)
