"""Several commands in one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis
from redis.exceptions import ResponseError


def together(client: redis.Redis, commands: Sequence[Sequence[str | int]]) -> list[Any]:
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
