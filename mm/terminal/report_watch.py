"""The reports of a client as they come, a line each."""

from __future__ import annotations

from collections.abc import Callable

from mm.instant import local_time
from mm.market import REASONS, Config, Report
from mm.store import Scripts, partitions_of, require_config, send_pipeline, text

#: Milliseconds of one look at all partitions.
LOOK_MS = 250


def watch_reports(scripts: Scripts, client_id: str, say: Callable[[str], None]) -> None:
    """Say each new report of the client, in every partition, without end.

    Errors of the connection are raised.
    """
    every = partitions_of(scripts)
    streams = [one.keys.member("reports:*", client_id) for one in every]
    cursors = [_newest(one, stream) for one, stream in zip(every, streams, strict=True)]
    wait_ms = max(1, LOOK_MS // len(every))
    while True:
        for number, one in enumerate(every):
            words = ("XREAD", "BLOCK", wait_ms, "STREAMS", streams[number], cursors[number])
            (reply,) = send_pipeline(one.client, [words])
            if isinstance(reply, Exception):
                raise reply
            if not reply:
                continue
            # A symbol may have been added since the last report.
            config = require_config(scripts)
            for _, entries in reply:
                for entry_id, fields in entries:
                    cursors[number] = text(entry_id)
                    for name, line in zip(fields[::2], fields[1::2], strict=True):
                        say(report_line(config, client_id, text(name), text(line)))


def _newest(scripts: Scripts, stream: str) -> str:
    (last,) = send_pipeline(scripts.client, [("XREVRANGE", stream, "+", "-", "COUNT", 1)])
    if isinstance(last, Exception):
        raise last
    return text(last[0][0]) if last else "0-0"


def report_line(config: Config, client_id: str, order_id: str, line: str) -> str:
    """One report in a line; what is no report is shown as it is."""
    try:
        report = Report.parse(order_id, line)
    except ValueError:
        return f"{client_id}/{order_id}: {line!r} is no report"
    words = f"{local_time(report.ts_ms)}  {client_id}/{order_id}: {report.status.replace('_', ' ')}"
    if report.cum_lots:
        # A fill is named by its symbol and number.
        symbol = config.symbol(report.fill_id.rpartition("-")[0])
        price, quantity = symbol.price(report.price_ticks), symbol.quantity(report.cum_lots)
        words += f" {quantity} at {price} by {report.fill_id}"
    elif why := REASONS.get(report.reason, ""):
        words += f", {why}"
    return words + (" (again)" if report.duplicate else "")
