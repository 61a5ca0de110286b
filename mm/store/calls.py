"""Several commands in one round trip, and calls that wait inside the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis
from redis.exceptions import ResponseError


def send_pipeline(client: redis.Redis, commands: Sequence[Sequence[str | int]]) -> list[Any]:
    """Send the commands in one go; the replies in order, as the server gave them.

    Error replies stand among them. Raises ConnectionError and TimeoutError, after which any of the
    commands may have run. A pipeline of redis-py does the same at two to three times the cost,
    and what a process costs is mostly this.
    """
    pool = client.connection_pool
    connection: Any = pool.get_connection()
    try:
        connection.send_packed_command(connection.pack_commands(commands))
        return [_reply(connection) for _ in commands]
    except BaseException:
        # A reply that has not been read must not become the answer to the next command.
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

    The server itself runs a call when the stream gets an entry, or when ``wait_ms`` have passed: no
    round trip lies between the two, and one fsync serves both. What the read found is not sent
    (``CLIENT REPLY SKIP``), since the script has read it. The calls wait on a connection of their
    own.
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

    def arm(self, cursor: str) -> None:
        """Send a call that waits for an entry after ``cursor``, when none is waiting."""
        assert not self.pending
        self._connection.send_packed_command(self._connection.pack_commands(self._waiting(cursor)))
        self.pending = 1

    def arm_second(self) -> None:
        """Send a second call, which waits for what comes after the first one has run.

        Before it waits the script is called once at once, in the same turn of the server, so that
        an entry which came after the first call and before this one is not left.
        """
        assert self.pending == 1
        self._connection.send_packed_command(self._second)
        self.pending = 2

    def take(self, patience_s: float | None = None) -> list[Any]:
        """The reply of the call that was armed first, and of the one at once, if a second waits.

        An error reply is an exception's object. Empty when ``patience_s`` pass before they are
        there. Raises ConnectionError and TimeoutError.
        """
        assert self.pending
        if patience_s is not None and not self._connection.can_read(timeout=patience_s):
            return []
        replies = [_reply(self._connection) for _ in range(self.pending)]
        self.pending -= 1
        return replies


def text(value: Any) -> str:
    """A reply's bytes as text, undecodable ones replaced; anything else as ``str()``."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def pairs(flat: Sequence[Any]) -> dict[str, str]:
    """A flat reply of names and values as a dictionary of text."""
    texts = [text(item) for item in flat]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def execute(client: redis.Redis | redis.client.Pipeline, *words: str | int) -> Any:
    """Send one command; redis-py leaves this method untyped."""
    return client.execute_command(*words)  # type: ignore[no-untyped-call]
