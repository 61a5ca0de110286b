"""Sending commands: several in one round trip, and script calls that wait inside the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis
from redis.exceptions import ResponseError


def send_pipeline(client: redis.Redis, commands: Sequence[Sequence[str | int]]) -> list[Any]:
    """Send the commands in one round trip; the server's replies in order.

    An error reply is an exception object in the list. After a ConnectionError or TimeoutError any
    of the commands may have run. A redis-py pipeline does the same at two to three times the
    processor time, and this is most of a process's time.
    """
    pool = client.connection_pool
    connection: Any = pool.get_connection()
    try:
        connection.send_packed_command(connection.pack_commands(commands))
        return [_reply(connection) for _ in commands]
    except BaseException:
        # An unread reply must not become the answer to the next command.
        connection.disconnect()
        raise
    finally:
        pool.release(connection)


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


class WaitingCalls:
    """Calls of one script that wait inside the server, each behind a blocking read of a stream.

    The server runs a call as soon as the stream gets an entry, or after ``wait_ms``. No round trip
    lies between the entry and the call, and one fsync covers both. The server does not send the
    entries that the read found (``CLIENT REPLY SKIP``), since the script reads them itself. The
    calls have a connection of their own. ``pending`` is how many of them wait.
    """

    def __init__(
        self, client: redis.Redis, stream: str, wait_ms: int, script: Sequence[str | int]
    ) -> None:
        self._connection: Any = client.connection_pool.get_connection()
        self._read = ("XREAD", "COUNT", 1, "BLOCK", wait_ms, "STREAMS", stream)
        self._script = script
        self._second = self._packed([script, *self._waiting("$")])
        self.pending = 0

    def _waiting(self, cursor: str) -> list[Sequence[str | int]]:
        return [("CLIENT", "REPLY", "SKIP"), (*self._read, cursor), self._script]

    def _packed(self, commands: Sequence[Sequence[str | int]]) -> Any:
        return self._connection.pack_commands(commands)

    def start(self, cursor: str) -> None:
        """Send a call that waits for an entry after ``cursor``; no other call may be waiting."""
        assert not self.pending
        self._connection.send_packed_command(self._packed(self._waiting(cursor)))
        self.pending = 1

    def start_second(self) -> None:
        """Send a second call, which waits for the entries that come after the first one has run.

        The server also runs the script once before this call waits, in the same turn. So an entry
        that came after the first call ran and before this one waits is processed too.
        """
        assert self.pending == 1
        self._connection.send_packed_command(self._second)
        self.pending = 2

    def replies(self, timeout_s: float | None = None) -> list[Any]:
        """The reply of the first call, and with a second call that of the run before its wait.

        An error reply is an exception object. The list is empty when no reply comes within
        ``timeout_s`` seconds; None waits as long as the socket does. Raises ConnectionError and
        TimeoutError.
        """
        assert self.pending
        if timeout_s is not None and not self._connection.can_read(timeout=timeout_s):
            return []
        replies = [_reply(self._connection) for _ in range(self.pending)]
        self.pending -= 1
        return replies


def text(value: Any) -> str:
    """A reply's bytes as text, invalid bytes replaced; any other reply as ``str()``."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def pairs(flat: Sequence[Any]) -> dict[str, str]:
    """A flat reply of alternating names and values as a dictionary of text."""
    texts = [text(item) for item in flat]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def execute(client: redis.Redis | redis.client.Pipeline, *words: str | int) -> Any:
    """Send one command; redis-py leaves this method untyped."""
    return client.execute_command(*words)  # type: ignore[no-untyped-call]
