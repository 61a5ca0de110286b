"""What a process says of itself with each heartbeat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Beat:
    """One heartbeat of the process ``name``, such as ``maker-1``.

    ``system_id`` is that of the system it has joined. ``run`` is a word that names this start of
    the process, and ``first`` says that no heartbeat of this start was answered yet. ``count`` is
    the number of things done in all. ``server_run`` is the server's run id, or ``-`` when unknown.
    ``fields`` are added to the ``process:*`` hash.
    """

    system_id: str
    name: str
    kind: str
    run: str
    pid: int
    count: int = 0
    first: bool = False
    server_run: str = "-"
    fields: Mapping[str, str] = field(default_factory=dict)

    def words(self, live_ms: int) -> list[str | int]:
        """The arguments of ``heartbeat.lua``."""
        pairs = [word for item in self.fields.items() for word in item]
        return [
            self.system_id,
            self.name,
            self.kind,
            live_ms,
            self.count,
            self.run,
            int(self.first),
            self.server_run,
            self.pid,
            *pairs,
        ]

    def last_words(self) -> list[str | int]:
        """The arguments of ``farewell.lua``."""
        return [self.system_id, self.name, self.kind, self.run, self.pid]
