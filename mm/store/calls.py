"""Sending commands: several in one round trip, and script calls that wait inside the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import redis
from redis.exceptions import ResponseError


def send_pipeline(
    client: redis.Redis, commands: Sequence[Sequence[str | int]], replies: int | None = None
) -> list[Any]:
    """Send the commands in one round trip; the server's replies in order.

    ``replies`` is how many there are if not one for each command. An error reply is an exception
    object in the list. After a ConnectionError or TimeoutError any of the commands may have run. A
    redis-py pipeline does the same at two to three times the processor time, and this is most of a
    process's time.
    """
    pool = client.connection_pool
    connection: Any = pool.get_connection()
    try:
        connection.send_packed_command(connection.pack_commands(commands))
        return [_reply(connection) for _ in range(len(commands) if replies is None else replies)]
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
    """Calls of scripts that wait inside the server, each behind a blocking read of streams.

    A call runs all ``scripts``, one after the other. ``streams`` has for each stream the id after
    which an entry is awaited: ``$`` for new ones, ``0-0`` where the scripts delete what they have
    read. The server runs the next call as soon as there is such an entry, or after ``wait_ms``. No
    round trip lies between the entry and the call, one fsync covers both, and the process that sent
    the calls need not be awake. The server does not send the entries that the read found (``CLIENT
    REPLY SKIP``), since the scripts read them. The calls have a connection of their own.
    ``pending`` is how many calls are still to be answered.
    """

    def __init__(
        self,
        client: redis.Redis,
        streams: Mapping[str, str],
        wait_ms: int,
        scripts: Sequence[Sequence[str | int]],
    ) -> None:
        self._connection: Any = client.connection_pool.get_connection()
        where: tuple[str, ...] = (*streams, *streams.values())
        read: tuple[str | int, ...] = ("XREAD", "COUNT", 1, "BLOCK", wait_ms, "STREAMS", *where)
        self._scripts = len(scripts)
        self._call = self._packed(scripts)
        self._waiting_call = self._packed([("CLIENT", "REPLY", "SKIP"), read, *scripts])
        self._begun: list[Any] = []
        self.pending = 0

    def _packed(self, commands: Sequence[Sequence[str | int]]) -> bytes:
        return b"".join(self._connection.pack_commands(commands))

    def start(self, waiting: int) -> None:
        """Send a call that does not wait, and this many that wait, one after the other.

        Each waits for the entries that come after the call before it has run. So no entry is left
        between two calls, nor between the last call of before and the first one of these.
        """
        self._connection.send_packed_command([self._call + waiting * self._waiting_call])
        self.pending += waiting + 1

    def replies(self, timeout_s: float) -> list[list[Any]]:
        """Of each answered call its scripts' replies, oldest first.

        Waits ``timeout_s`` seconds for the first reply. An error reply is an exception object. The
        list is empty when no call was answered in time. Raises ConnectionError and TimeoutError.
        """
        found: list[list[Any]] = []
        while self.pending and self._connection.can_read(timeout=0 if found else timeout_s):
            self._begun.append(_reply(self._connection))
            if len(self._begun) == self._scripts:
                found.append(self._begun)
                self._begun = []
                self.pending -= 1
        return found

    def close(self) -> None:
        """Drop the connection; calls that still wait are not made."""
        self._connection.disconnect()
        self.pending = 0


def text(value: Any) -> str:
    """A reply's bytes as text, invalid bytes replaced; any other reply as ``str()``."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def hash_of(client: redis.Redis, key: str) -> dict[str, str]:
    """A hash as text; empty without the key."""
    stored = client.hgetall(key)
    return pairs(stored)


def pairs(reply: Sequence[Any] | Mapping[Any, Any]) -> dict[str, str]:
    """A reply of names and values, in turn or as a mapping, as a dictionary of text."""
    if isinstance(reply, Mapping):
        return {text(name): text(value) for name, value in reply.items()}
    texts = [text(item) for item in reply]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def server_ms(client: redis.Redis) -> int:
    """The server's clock in ms."""
    seconds, micros = execute(client, "TIME")
    return int(seconds) * 1000 + int(micros) // 1000


def execute(client: redis.Redis | redis.client.Pipeline, *words: str | int) -> Any:
    """Send one command; redis-py leaves this method untyped."""
    return client.execute_command(*words)  # type: ignore[no-untyped-call]
