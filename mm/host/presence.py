"""``mm up`` among the processes of its system: it beats there, and knows of others like it."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable, Iterable, Sequence

from redis.exceptions import RedisError

from mm.errors import ForeignSystem, MMError, Unavailable, shown_path
from mm.host.datadir import DataDir
from mm.host.identity import IdentityWatch
from mm.store import Identity, Presence, Scripts, partitions_of, text, trouble_of

KIND = "up"
#: Seconds from one heartbeat to the next, and from one look at the system's identity to the next.
BEAT_S = 0.5


class UpPresence:
    """One `mm up` in a system: its heartbeats name the processes that it wants to run.

    ``say`` gets a line for people when another `mm up` begins or ends to supervise the system.
    """

    def __init__(
        self,
        scripts: Scripts,
        identity: Identity,
        data_dir: DataDir,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = f"{KIND}-{secrets.token_hex(3)}"
        self._scripts = scripts
        self._system_id = identity.system_id
        self._presence = Presence(self.name, KIND, self._system_id)
        self._identity = IdentityWatch(scripts, identity, data_dir)
        self._place = f"{shown_path(data_dir.path.absolute())} on {socket.gethostname()}"
        self._say = say
        self._clock = clock
        self._next = 0.0
        self._others: dict[str, str] = {}
        self._refusal = ""

    @property
    def alone(self) -> bool:
        """Whether no other `mm up` was live at the last heartbeat."""
        return not self._others

    def tick(self, wanted: Sequence[str]) -> None:
        """Beat if it is time. ForeignSystem when the system is gone or another has its place."""
        if self._clock() >= self._next:
            self.beat(wanted)
            self._next = self._clock() + BEAT_S

    def beat(self, wanted: Sequence[str]) -> None:
        """Beat now; nothing when no server answers. ForeignSystem as with :meth:`tick`.

        A lacking right is said once: the screen does not show it, since reading may still work.
        """
        self._identity.look()
        fields = {"wants": " ".join(wanted) or "-", "place": self._place}
        try:
            live = self._presence.beat(self._scripts, 0, fields)
            self._meet(name for name in live if name != self.name)
            self._refusal = ""
        except ForeignSystem:
            self._identity.look()
            raise
        except (RedisError, Unavailable, OSError) as error:
            found = trouble_of(error)
            if found.final and found.words != self._refusal:
                self._refusal = found.words
                self._say(f"`mm up` cannot announce itself to the system: {found.words}")

    def withdraw_quotes(self) -> str:
        """End the quotes that no maker is left to replace; what was done, in words.

        Call it when the makers have stopped. The quotes stay, until they expire, while another
        maker is live or where no server answers.
        """
        ended = 0
        try:
            for scripts in partitions_of(self._scripts):
                while True:
                    done = scripts.withdraw(self._system_id)
                    ended += len(done.quote_ids)
                    if done.live_makers:
                        names = " ".join(done.live_makers)
                        return f"the quotes stay until they expire, for a maker is live: {names}"
                    if not done.more:
                        break
            quotes = "quote" if ended == 1 else "quotes"
            return f"{ended} {quotes} withdrawn, exposure released"
        except (RedisError, OSError, MMError) as error:
            return f"the quotes stay until they expire: {trouble_of(error).words}"

    def close(self) -> None:
        """Say farewell; nothing when no server answers."""
        try:
            self._presence.farewell(self._scripts)
        except (RedisError, OSError):
            return

    def _meet(self, live: Iterable[str]) -> None:
        """Say which other `mm up` has come, and which one is not heard of any more."""
        found = set(live)
        for name in sorted(found - self._others.keys()):
            stored = self._scripts.client.hmget(
                self._scripts.keys.member("process:*", name), ["pid", "place"]
            )
            pid, place = (text(value or b"unknown") for value in stored)
            self._others[name] = f"{name} (pid {pid}, {place})"
            self._say(f"another `mm up` supervises this system too: {self._others[name]}")
        for name in sorted(self._others.keys() - found):
            self._say(f"the other `mm up` is not heard of any more: {self._others.pop(name)}")
