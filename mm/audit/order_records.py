"""What the system holds about orders, as records: the ledger, reports, memory and the orders."""

from __future__ import annotations

import re
from collections.abc import Iterator

from redis.exceptions import ResponseError

from mm.audit.fingerprints import fingerprint
from mm.audit.outcomes import Memory, ParsedReport, parse_memory, parse_report
from mm.audit.tally import Tally, is_digits
from mm.store import END, Raw, StreamReader, execute, server_ms, text

_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
#: A line of another form is a dead letter and has no outcome (R14).
_WORDS = re.compile(rb"\S+(?: \S+){4}")


class OrderRecords:
    """Reads the records about orders, as often as they are asked for.

    An order is named ``client_id/order_id`` throughout. A key of a wrong type is a violation.
    ``window`` is the deduplication window in ms. The ledger is read from ``first_id`` on; what is
    wrong with its archive is named elsewhere.
    """

    def __init__(
        self, reader: StreamReader, raw: Raw, tally: Tally, window: int, first_id: str
    ) -> None:
        self._first_id = first_id
        self._reader, self._raw, self._tally = reader, raw, tally
        self._window = window
        self._buckets = reader.members("seen:*")

    def is_alive(self, bucket: int) -> bool:
        """Whether the outcomes of this window are certainly still remembered now."""
        return (bucket + 2) * self._window > server_ms(self._reader.client)

    def fills(self) -> Iterator[tuple[bytes, bytes, list[bytes]]]:
        """The fills up to the instant: order, fill id, words of the line."""
        last_id = self._raw.streams["fills"].last_id
        for _, flat in self._reader.whole("fills", last_id, self._first_id, lambda *_: None):
            for fill_id, line in zip(flat[::2], flat[1::2], strict=True):
                words = line.split(b" ")
                # A record of an earlier version lacks the spread.
                if len(words) in (7, 8) and is_digits(words[6]):
                    yield words[3] + b"/" + words[4], fill_id, words

    def fills_of(self, marks: set[int]) -> dict[bytes, list[tuple[int, str]]]:
        """The fills of the orders with these fingerprints, by order: time in ms and fill id."""
        by_order: dict[bytes, list[tuple[int, str]]] = {}
        for order, fill_id, words in self.fills() if marks else ():
            if fingerprint(order) in marks:
                by_order.setdefault(order, []).append((int(words[6]), text(fill_id)))
        return by_order

    def reports(self) -> Iterator[tuple[bytes, bytes, ParsedReport | None]]:
        """The retained reports: order, line, and the report, None when the line is not one."""
        for client in self._reader.members("reports:*"):
            key = self._reader.keys.member("reports:*", client)
            try:
                for _, order_id, line in self._reader.records(key, END):
                    yield client.encode() + b"/" + order_id, line, parse_report(line)
            except ResponseError as error:
                self._tally.violation(f"{key} cannot be read: {error}")

    def memory(self) -> Iterator[tuple[str, bytes, bytes, Memory]]:
        """What is remembered: key, order, value, and what the value says."""
        for bucket in self._buckets:
            key = self._reader.keys.member("seen:*", bucket)
            try:
                for order, value in self._reader.fields(key):
                    yield key, order, value, parse_memory(value)
            except ResponseError as error:
                self._tally.violation(f"{key} cannot be read: {error}")

    def remembered_in(self, key: str) -> Iterator[bytes]:
        """The orders that one key remembers."""
        for order, _ in self._reader.fields(key):
            yield order

    def is_remembered_in(self, key: str, order: bytes) -> bool:
        """Whether one key remembers the order."""
        return bool(execute(self._reader.client, "HEXISTS", key, order))  # type: ignore[arg-type]  # bytes are words too

    def remembered(self, orders: list[bytes]) -> list[tuple[int, bytes] | None]:
        """The window and the remembered value of each order, None where there is none."""
        found: list[tuple[int, bytes] | None] = [None] * len(orders)
        for bucket in self._buckets if orders else ():
            key = self._reader.keys.member("seen:*", bucket)
            try:
                reply = execute(self._reader.client, "HMGET", key, *orders)  # type: ignore[arg-type]  # bytes are words too
                window = int(bucket)
            except (ResponseError, ValueError):
                continue  # memory() names the key
            for index, value in enumerate(reply):
                if value is not None and found[index] is None:
                    found[index] = (window, value)
        return found

    def orders(self) -> Iterator[tuple[int, bytes, bytes]]:
        """The processed orders of five words with valid ids: ms of the entry, order, line."""
        key, cursor = self._reader.keys.named("orders"), self._raw.cursors.get("exchange", "0-0")
        for entry, order_id, line in self._reader.records(key, cursor):
            client = line.partition(b" ")[0]
            if _WORDS.fullmatch(line) and _ID.fullmatch(order_id) and _ID.fullmatch(client):
                yield int(entry.partition(b"-")[0]), client + b"/" + order_id, line
