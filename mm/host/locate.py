"""Where a running system is, for the command line and every other program that connects to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import redis

from mm.errors import NotRunning, SystemRefused, Unavailable, shown_path
from mm.host.datadir import DataDir, full_disk, lock_owner
from mm.host.identity import check_directory, known_system_id
from mm.market import Durability
from mm.store import (
    VIEWER,
    Keys,
    Scripts,
    Trouble,
    check_serves,
    open_client,
    safe_url,
    trouble_of,
)

#: Environment variable in which `mm up` hands the server's URL to its children.
CHILD_URL = "MM_CHILD_REDIS_URL"
#: How long a command waits for a server that loads its data or is busy, and between two tries.
PATIENCE_S, PAUSE_S = 10.0, 0.1


@dataclass(frozen=True)
class System:
    """Where a system is: its server's URL, or the data directory of its ``mm up``.

    ``redis_url`` is None for the managed server of the data directory. ``durability`` is what the
    operator accepts; None asks for what the configuration says. ``say`` gets a line for people
    while a server is waited for.
    """

    data_dir: DataDir
    redis_url: str | None
    keys: Keys
    durability: Durability | None
    say: Callable[[str], None] = field(default=lambda text: None, compare=False)

    @property
    def url(self) -> str:
        """The server's URL; NotRunning or Unavailable when no server runs in the data directory."""
        if self.redis_url is None and not self.data_dir.served:
            where = shown_path(self.data_dir.path)
            if owner := lock_owner(self.data_dir):
                raise Unavailable(
                    f"{self.data_dir}: no server answers there now. {self._restarting(owner)}"
                )
            raise NotRunning(
                f"{self.data_dir}: no server runs there"
                f" ({shown_path(self.data_dir.socket)} does not exist). Start one with `mm up"
                f" --data-dir {where}`, or name the right --data-dir or --redis-url."
            )
        return self.waiting_url

    @property
    def waiting_url(self) -> str:
        """The server's URL for a program that waits until the server runs."""
        return self.redis_url or self.data_dir.url

    @property
    def archives(self) -> Path | None:
        """The directory of its archives, which may have been moved; None for where the keys say."""
        return None if self.redis_url else self.data_dir.path.absolute()

    def known_id(self) -> str | None:
        """The id of the system that the data directory belongs to, or None."""
        return known_system_id(self.data_dir, self.keys)

    def options(self) -> list[str]:
        """The command-line options with which another ``mm`` command finds this system.

        The server's URL is not among them, because every user of the machine can read a command
        line: :meth:`environment` has it.
        """
        found = ["--data-dir", str(self.data_dir.path), "--prefix", self.keys.prefix]
        if self.durability:
            found += ["--durability", self.durability]
        return found

    def environment(self) -> dict[str, str]:
        """The environment variables that a child needs to find this system."""
        return {CHILD_URL: self.redis_url} if self.redis_url else {}

    def client(self, user: str = VIEWER) -> redis.Redis:
        """A new client, not yet connected, of this user of a managed server."""
        return open_client(self.url, user=user, tag=self.keys.prefix)

    def scripts(self, patience_s: float = PATIENCE_S, user: str = VIEWER) -> Scripts:
        """The scripts on a new client of this user, once the server serves.

        A server that is there but loads its data or is busy is waited for, ``patience_s`` at most.
        Raises Unavailable when no server answers, NotRunning when none is about to in the data
        directory, SystemRefused when it refuses the user, and ForeignSystem when a managed server
        does not hold the system of its data directory.
        """
        client = self.client(user)
        deadline = time.monotonic() + patience_s
        said = ""
        while True:
            try:
                check_serves(client)
                scripts = Scripts(client, self.keys)
                scripts.archives = self.archives
                if self.redis_url is None:
                    check_directory(self.data_dir, scripts)
                return scripts
            except (redis.RedisError, OSError) as error:
                found = trouble_of(error)
                if found.kind != "not_now" or not found.answering:
                    raise self._unreachable(found) from error
                if time.monotonic() >= deadline:
                    raise Unavailable(f"{found.words}: waited {patience_s:g} s for it") from error
            if found.words != said:
                said = found.words
                self.say(f"waiting: {said}")
            time.sleep(PAUSE_S)

    def _unreachable(self, found: Trouble) -> SystemRefused | Unavailable:
        where = f"server {safe_url(self.url)}"
        if found.final:
            return SystemRefused(f"{where}: {found.words}.")
        if found.answering:
            return Unavailable(f"{where}: {found.words}.")
        if self.redis_url is None and (owner := lock_owner(self.data_dir)):
            return Unavailable(f"{where}: {found.words}. {self._restarting(owner)}")
        error = Unavailable if self.redis_url else NotRunning
        return error(
            f"{where}: {found.words}. Start one with `mm up`, or name the right --data-dir or"
            " --redis-url."
        )

    def _restarting(self, owner: str) -> str:
        text = f"`mm up` (pid {owner}) runs there, and starts or restarts its server"
        full = full_disk(self.data_dir)
        logs = shown_path(self.data_dir.logs)
        return f"{text}; {full}." if full else f"{text}: try again, or see {logs}."
