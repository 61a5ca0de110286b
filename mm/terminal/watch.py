"""Where a screen gets its snapshots of a running system."""

from __future__ import annotations

from redis.exceptions import RedisError
from rich.text import Text

from mm.errors import SystemRefused, Unavailable
from mm.store import Keys, Scripts, ServerInfo, Snapshot, open_client, server_info, take_snapshot
from mm.terminal.screen import Supervision

RECENT = 24
SHOWN_SYMBOLS = 60


class SnapshotSource:
    """Takes snapshots for a screen: reconnects by itself, and says None while no server answers."""

    def __init__(self, url: str, keys: Keys) -> None:
        self._scripts = Scripts(open_client(url), keys)
        self._info: ServerInfo | None = None
        self.trouble = ""

    @property
    def scripts(self) -> Scripts:
        """The scripts on the reader's own connection."""
        return self._scripts

    def snapshot(self, recent: int = RECENT, most: int = SHOWN_SYMBOLS) -> Snapshot | None:
        """The system now, or None with the reason in ``trouble``."""
        try:
            if self._info is None:
                self._info = server_info(self._scripts.client)
            found = take_snapshot(self._scripts, recent, most)
        except (RedisError, SystemRefused, Unavailable, OSError) as error:
            self._info = None
            self.trouble = str(error)
            return None
        self.trouble = ""
        return found

    def apology(self) -> Text:
        """What to show in place of a snapshot."""
        return Text(f"nothing to show now, trying again: {self.trouble}")

    def server(self) -> str:
        """What the server is, for the screen."""
        return f"{self._info.name} {self._info.version}" if self._info else "no server"

    def durability(self) -> str:
        """``always``, or ``relaxed`` with the settings that make it so."""
        if self._info is None:
            return "unknown"
        return "relaxed: " + ", ".join(self._info.weak) if self._info.weak else "always"

    def supervision(
        self,
        notes: tuple[str, ...] = (),
        restarts: dict[str, int] | None = None,
        managed: bool = False,
    ) -> Supervision:
        """What the screen says beside the snapshot."""
        server = self.server() + (" (managed)" if managed else "")
        return Supervision(server, self.durability(), notes, restarts or {})
