"""The client that the processes get: each call to the server is a place where the world may turn.

A step that has been suspended at a call is taken up again by running it once more from where it
began, with the replies that it had got: the real code, and any number of futures from one point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from redis.exceptions import ConnectionError as LostConnection

Call: TypeAlias = tuple[Any, ...]

#: What the server says of itself when a process connects.
_INFO = {"valkey_version": "9.1.2", "run_id": "r1"}
_SETTINGS = {
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
    "maxmemory-policy": "noeviction",
}


class Suspended(BaseException):  # no handler of an ordinary error may catch it
    """The code wants to make the first of these calls; those after it lie in the same pipeline."""

    def __init__(self, calls: tuple[Call, ...]) -> None:
        super().__init__(calls)
        self.calls = calls


class Wire:
    """Stands in for a ``redis.Redis``: answers from the recorded replies, then suspends.

    ``ask`` answers at once what is constant in this world. Its configuration is, unless
    ``config_changes``.
    """

    def __init__(self, ask: Callable[[Call], Any], config_changes: bool = False) -> None:
        self._ask = ask
        self._config_changes = config_changes
        self._replies: Sequence[Any] = ()
        self._next = 0
        self._queue: tuple[Call, ...] = ()
        self.connection_pool = self

    def begin(self, replies: Sequence[Any]) -> None:
        """The next calls get these replies, one after the other; an exception is raised."""
        self._replies, self._next = replies, 0

    def call(self, *calls: Call) -> Any:
        """The reply to the first call; the others follow it in the same pipeline."""
        if self._next == len(self._replies):
            raise Suspended(calls)
        reply = self._replies[self._next]
        self._next += 1
        if isinstance(reply, LostConnection):
            raise reply
        return reply

    # what redis.Redis has and the processes use

    def execute_command(self, *words: Any) -> Any:
        """One command; an error reply is raised."""
        return self.execute_calls(words)

    def execute_calls(self, *calls: Call) -> Any:
        """The reply to the first call; an error reply is raised."""
        reply = self.call(*calls)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def script_load(self, source: str) -> Any:
        """Teach the server a script."""
        return self.execute_command("SCRIPT LOAD", source)

    def pipeline(self, transaction: bool = True) -> Pipeline:
        """Questions for the configuration."""
        assert not transaction
        return Pipeline(self)

    # what a connection of its pool has, for calls in one round trip: each of them is a place where
    # the world may turn

    def get_connection(self) -> Wire:
        """The only connection."""
        return self

    def release(self, connection: Wire) -> None:
        """It is free again."""
        self._queue = ()

    def pack_commands(self, calls: Sequence[Call]) -> Sequence[Call]:
        """Calls stay what they are."""
        return calls

    def send_packed_command(self, calls: Sequence[Call]) -> None:
        """The calls whose replies are read next."""
        self._queue = tuple(calls)

    def read_response(self) -> Any:
        """The reply to the next call; an error reply is raised."""
        calls, self._queue = self._queue, self._queue[1:]
        return self.execute_calls(*calls)

    def hgetall(self, key: str) -> Any:
        """A hash of the configuration."""
        call = ("HGETALL", key)
        return self.execute_calls(call) if self._config_changes else self._ask(call)

    def hget(self, key: str, field: str) -> Any:
        """A field of the configuration that never changes."""
        return self._ask(("HGETALL", key)).get(field.encode())

    def hkeys(self, key: str) -> list[bytes]:
        """The clients that have inboxes, which are constant in a world."""
        return list(self._ask(("HGETALL", key)))

    def info(self) -> dict[str, str]:
        """What the server is."""
        return _INFO

    def config_get(self, *names: str) -> dict[str, str]:
        """How it persists."""
        return {name: _SETTINGS[name] for name in names if name in _SETTINGS}

    def close(self) -> None:
        """Nothing is open."""

    def disconnect(self) -> None:
        """Nothing is open."""


class Pipeline:
    """Several questions for the configuration that go out together."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._keys: list[str] = []

    def hgetall(self, key: str) -> None:
        """Add a question."""
        self._keys.append(key)

    def execute(self) -> list[Any]:
        """The answers."""
        return [self._wire.hgetall(key) for key in self._keys]
