"""How a command finds the system that it works on."""

from __future__ import annotations

from dataclasses import dataclass

import redis

from mm.errors import Unavailable
from mm.host.datadir import DataDir
from mm.market import Durability
from mm.store import Keys, Scripts, open_client


@dataclass(frozen=True)
class System:
    """Where a system is: by its server's URL, or by the data directory of its ``mm up``."""

    data_dir: DataDir
    redis_url: str | None
    keys: Keys
    durability: Durability | None

    @property
    def url(self) -> str:
        """The server's URL; Unavailable when the data directory has no running server."""
        if self.redis_url is not None:
            return self.redis_url
        if not self.data_dir.socket.exists():
            raise Unavailable(
                f"data directory {self.data_dir.path}: no server runs there"
                f" ({self.data_dir.socket} does not exist). Start one with `mm up --data-dir"
                f" {self.data_dir.path}`, or name the right --data-dir or --redis-url."
            )
        return self.data_dir.url

    @property
    def waiting_url(self) -> str:
        """The server's URL whether or not it runs yet: processes wait for it."""
        return self.redis_url or self.data_dir.url

    def client(self) -> redis.Redis:
        """A new client, not yet connected."""
        return open_client(self.url)

    def scripts(self) -> Scripts:
        """The scripts on a new client; Unavailable when no server answers."""
        client = self.client()
        try:
            client.ping()
        except redis.exceptions.ConnectionError as error:
            raise Unavailable(
                f"no server answers at {self.url}: {str(error).rstrip('.')}. Start one with"
                " `mm up`, or name the right --data-dir or --redis-url."
            ) from error
        return Scripts(client, self.keys)
