"""Where a running system is, for the command line and every other program that connects to it."""

from __future__ import annotations

from dataclasses import dataclass

import redis

from mm.errors import Unavailable, shown_path
from mm.host.datadir import DataDir
from mm.market import Durability
from mm.store import Keys, Scripts, open_client


@dataclass(frozen=True)
class System:
    """Where a system is: its server's URL, or the data directory of its ``mm up``.

    ``redis_url`` is None for the managed server of the data directory. ``durability`` is what the
    operator accepts; None asks for what the configuration says.
    """

    data_dir: DataDir
    redis_url: str | None
    keys: Keys
    durability: Durability | None

    @property
    def url(self) -> str:
        """The server's URL; Unavailable when no server runs in the data directory."""
        if self.redis_url is None and not self.data_dir.socket.exists():
            where = shown_path(self.data_dir.path)
            raise Unavailable(
                f"{self.data_dir}: no server runs there"
                f" ({shown_path(self.data_dir.socket)} does not exist). Start one with `mm up"
                f" --data-dir {where}`, or name the right --data-dir or --redis-url."
            )
        return self.waiting_url

    @property
    def waiting_url(self) -> str:
        """The server's URL for a program that waits until the server runs."""
        return self.redis_url or self.data_dir.url

    def options(self) -> list[str]:
        """The command-line options with which another ``mm`` command finds this system."""
        found = ["--data-dir", str(self.data_dir.path), "--prefix", self.keys.prefix]
        if self.redis_url:
            found += ["--redis-url", self.redis_url]
        if self.durability:
            found += ["--durability", self.durability]
        return found

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
