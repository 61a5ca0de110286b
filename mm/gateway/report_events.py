"""Reports as events: where an event stands in the streams, and what it says."""

from __future__ import annotations

import json
from collections.abc import Sequence

from mm.errors import MMError, shown
from mm.gateway.answers import Refused
from mm.gateway.streams import event
from mm.market import CONFLICT, REASONS, Config, Order, Report, check_side
from mm.orders import report_facts
from mm.store import Scripts, is_stream_id, remembered_orders, text

#: Where a watcher is: the id of the newest entry that it has, in each partition.
Place = tuple[str, ...]
#: The id before every entry of a stream.
BEGINNING = "0-0"


def parse_place(name: str, word: str, partitions: int) -> Place:
    """The place that an event's id names; ``BEGINNING`` alone is that of every partition.

    Refused (400) when it names no place of this system.
    """
    found = (BEGINNING,) * partitions if word == BEGINNING else tuple(word.split(","))
    if len(found) != partitions or not all(is_stream_id(one) for one in found):
        raise Refused(
            400, "bad_value", f"{name} {shown(word)}: it must be the id of an event, or {BEGINNING}"
        )
    return found


def moved(place: Place, number: int, entry_id: str) -> Place:
    """The place after an entry of this partition."""
    return (*place[:number], entry_id, *place[number + 1 :])


def chunk_of(place: Place, datas: Sequence[str]) -> bytes:
    """The events of one entry. Only the last one has the id: an entry is sent again as a whole."""
    last = len(datas) - 1
    return b"".join(
        event("report", data, ",".join(place) if number == last else "")
        for number, data in enumerate(datas)
    )


def entry_events(
    one: Scripts, config: Config, client_id: str, entries: Sequence[tuple[str, list[bytes]]]
) -> list[tuple[str, list[str]]]:
    """Each entry's id, and the facts of its reports as JSON; what is no report is left out."""
    parsed: list[tuple[str, list[Report]]] = []
    for entry_id, fields in entries:
        reports = []
        for name, line in zip(fields[::2], fields[1::2], strict=True):
            try:
                reports.append(Report.parse(text(name), text(line)))
            except ValueError:
                continue
        parsed.append((entry_id, reports))
    names = [(client_id, report.order_id) for _, found in parsed for report in found]
    orders = remembered_orders(one.client, one.keys, names)
    made = []
    for entry_id, found in parsed:
        datas = []
        for report in found:
            remembered = orders.get((client_id, report.order_id))
            content = remembered.content if remembered else None
            datas.append(json.dumps(streamed_facts(config, client_id, report, content)))
        made.append((entry_id, datas))
    return made


def streamed_facts(
    config: Config, client_id: str, report: Report, content: str | None
) -> dict[str, object]:
    """A report with its order, as ``mm order --json`` names them.

    ``content`` is the order as the exchange remembers it. Where that is another one, or is no
    longer known, the order's own facts are empty texts.
    """
    try:
        name, side, lots, ticks = (content or "").split(" ")
        order = Order(client_id, report.order_id, name, check_side(side), int(lots), int(ticks))
        if report.reason != CONFLICT and report.can_answer(order):
            return report_facts(order, report, config.symbol(name))
    except (ValueError, MMError):
        pass  # nothing is known of the order
    name = report.fill_id.rpartition("-")[0]
    known = {one.name: one for one in config.symbols}.get(name)
    filled = known is not None and report.cum_lots
    return {
        "client_id": client_id,
        "order_id": report.order_id,
        "symbol": name,
        **dict.fromkeys(("side", "quantity", "limit_price"), ""),
        "status": report.status,
        "reason": report.reason,
        "reason_text": REASONS.get(report.reason, ""),
        "filled_quantity": known.quantity(report.cum_lots) if known and filled else "",
        **dict.fromkeys(("leaves_quantity", "canceled_quantity"), ""),
        "price": known.price(report.price_ticks) if known and filled else "",
        "fill_id": report.fill_id,
        "quote_id": report.quote_id,
        "duplicate": report.duplicate,
        "ts_ms": report.ts_ms,
    }
