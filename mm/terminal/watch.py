"""The source of a screen's snapshots of a running system."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from redis.exceptions import RedisError
from rich.text import Text

from mm.errors import SystemRefused, Unavailable
from mm.facts import Lost, Stoppage, process_rows, stoppages, unreachable
from mm.store import (
    VIEWER,
    Keys,
    Placement,
    Scripts,
    ServerInfo,
    Snapshot,
    open_client,
    read_placement,
    server_info,
    take_snapshot,
    trouble_of,
)
from mm.terminal.screen import RunStatus

#: What a snapshot for the screen includes: newest fill entries and quote events, and symbols. Of
#: these the screen shows as many as fit, and the others when one scrolls, sorts or filters.
RECENT = 24
MAX_SYMBOLS = 256
#: Seconds from one look at what the server says of itself to the next.
INFO_S = 1.0


class SnapshotSource:
    """Takes snapshots for a screen as a user of the server; reconnects by itself.

    ``archives`` is as in :class:`~mm.store.Scripts`. ``trouble`` is why the last snapshot failed,
    or empty text. ``seen`` are the names of the processes that were live in a snapshot.
    """

    def __init__(
        self, url: str, keys: Keys, user: str = VIEWER, archives: Path | None = None
    ) -> None:
        self._scripts = Scripts(open_client(url, user=user, tag=keys.prefix), keys)
        self._scripts.archives = archives
        self._info: ServerInfo | None = None
        self._placement: Placement | None = None
        self._info_due = 0.0
        self._last: Snapshot | None = None
        self.trouble = ""
        self.seen: set[str] = set()

    @property
    def scripts(self) -> Scripts:
        """The scripts on this source's own connection."""
        return self._scripts

    def snapshot(self, recent: int = RECENT, max_symbols: int = MAX_SYMBOLS) -> Snapshot | None:
        """The system now, or None with the reason in ``trouble``."""
        try:
            if self._info is None or time.monotonic() >= self._info_due:
                self._info = server_info(self._scripts.client)
                self._info_due = time.monotonic() + INFO_S
                self._placement = None
            found = take_snapshot(self._scripts, recent, max_symbols)
            if self._placement is None:
                self._placement = read_placement(self._scripts, found.config.partitions)
        except (RedisError, SystemRefused, Unavailable, OSError) as error:
            self._info = self._last = None
            self.trouble = trouble_of(error).words
            return None
        self.trouble = ""
        self._last = found
        self.seen |= {row.name for row in process_rows(found) if row.state == "live"}
        return found

    def stoppages(self, supervised: Mapping[str, int]) -> list[Stoppage]:
        """What stops trading by the last snapshot, or why there is none."""
        if self._last is None:
            return [unreachable(self.trouble)] if self.trouble else []
        return stoppages(self._last, self._info, supervised, self._placement)

    def unavailable_text(self) -> Text:
        """What to show while there is no snapshot."""
        return Text(f"nothing to show now, trying again: {self.trouble}")

    def server(self) -> str:
        """The server's name and version."""
        return f"{self._info.name} {self._info.version}" if self._info else "no server"

    @property
    def weak(self) -> tuple[str, ...] | None:
        """The server's settings with which an acknowledged write may be lost; None if unknown."""
        return None if self._info is None or self._info.hidden else tuple(self._info.weak)

    def run_status(
        self,
        notes: tuple[str, ...] = (),
        restarts: dict[str, int] | None = None,
        lost: dict[str, Lost] | None = None,
        managed: bool = False,
    ) -> RunStatus:
        """What the screen shows beside the snapshot; ``managed`` when `mm up` runs the server."""
        server = self.server() + (" (managed)" if managed else "")
        found = tuple(self.stoppages(restarts or {}))
        return RunStatus(
            server, self.weak, notes, restarts or {}, lost or {}, found, self._placement
        )
