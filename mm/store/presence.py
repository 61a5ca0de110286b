"""A process's place in a system: it joins the system, beats there, and says farewell."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping

from mm.errors import Unavailable
from mm.market import Config, Durability
from mm.store.beat import Beat
from mm.store.calls import text
from mm.store.identity import read_identity
from mm.store.keys import Keys
from mm.store.refusals import foreign_system
from mm.store.scripts import Scripts
from mm.store.system import Joined, join_system


class Presence:
    """One start of the process ``name`` of this kind.

    ``system_id`` is the system that it belongs to. With None it belongs to the first one that it
    joins, or beats in.
    """

    def __init__(self, name: str, kind: str, system_id: str | None = None) -> None:
        self.name = name
        self.kind = kind
        self.system_id = system_id
        self._run = secrets.token_hex(4)
        self._heard = False
        self._server_run = "-"

    def join(
        self, scripts: Scripts, config: Config | None, durability: Durability | None
    ) -> Joined:
        """Join the system; arguments and errors are those of :func:`mm.store.join_system`."""
        joined = join_system(scripts, config, durability, self.system_id)
        self.system_id = joined.identity.system_id
        self._server_run = joined.server.run_id
        return joined

    def check(self, keys: Keys, found: bytes | None) -> None:
        """Compare the system's id in the keys with that of the system that it belongs to.

        Raises what :meth:`beat` raises.
        """
        found_id = None if found is None else text(found)
        if self.system_id is None:
            if found_id is None:
                raise Unavailable(f"no system under {keys.prefix}")
            self.system_id = found_id
        if found_id != self.system_id:
            raise foreign_system(keys, self.system_id, found_id)

    def beat(self, scripts: Scripts, count: int, fields: Mapping[str, str]) -> list[str]:
        """Send a heartbeat; the live processes of this kind.

        Raises ForeignSystem when the keys hold another system, and Unavailable when it belongs to
        no system and there is none.
        """
        _, peers = scripts.heartbeat(self._beat(scripts, count, fields))
        self._heard = True
        return peers

    def farewell(self, scripts: Scripts) -> None:
        """Say that this process stops in order, if it has ever been heard."""
        if self._heard:
            scripts.farewell(self._beat(scripts, 0, {}))

    def _beat(self, scripts: Scripts, count: int, fields: Mapping[str, str]) -> Beat:
        if self.system_id is None:
            identity = read_identity(scripts)
            if identity is None:
                raise Unavailable(f"no system under {scripts.keys.prefix}")
            self.system_id = identity.system_id
        return Beat(
            self.system_id,
            self.name,
            self.kind,
            self._run,
            os.getpid(),
            count,
            not self._heard,
            self._server_run,
            fields,
        )
