"""When a report is final: when enough replicas have the history in which it stands.

A primary may answer, fail, and be followed by a replica that has not heard of the answer. So with
replicas a report counts only once a write after it is replicated, and the history is still the one
in which it was read. A server counts the replicas by the length of the history (WAIT), which does
not tell one history from another, and names the history in its INFO (``master_replid``).
"""

from __future__ import annotations

from typing import Any

import redis

from mm.errors import Unavailable
from mm.store import LOOK, Keys, history_in, send_pipeline, split_system

#: Milliseconds that the replicas may take.
FINAL_MS = 200


class Finality:
    """What makes the reports of one client final; without replicas they are at once.

    ``look`` is the command that goes before each reading; :meth:`is_cut` takes its reply.
    ``replicas`` is how many must have a report. It is that of the configuration, never the number
    that happens to be online.
    """

    look = LOOK

    def __init__(self, keys: Keys, reports_key: str) -> None:
        self.replicas = 0
        self._keys = keys
        self._reports_key = reports_key
        self._idle_ms = 0
        self._history = ""

    def learn(self, client: redis.Redis) -> None:
        """Read what the configuration says; errors of the connection are raised.

        SystemRefused for the keys of a system with partitions: nobody reads orders there.
        """
        config, names = self._keys.named("config"), ["replicas", "report_idle_ms"]
        replicas, idle_ms, count, own = client.hmget(config, [*names, "partitions", "partition"])
        if count is not None and own is None:
            raise split_system(self._keys, "an order goes to one")
        self.replicas, self._idle_ms = int(replicas or 0), int(idle_ms or 0)

    def is_cut(self, info: Any) -> bool:
        """Whether the history is another one than at the last look, by the reply to ``LOOK``."""
        if isinstance(info, Exception):
            raise info
        before, self._history = self._history, history_in(info)
        return bool(before) and before != self._history

    @property
    def commands(self) -> list[tuple[str | int, ...]]:
        """The commands that make final what was read before; :meth:`judge` takes their replies.

        The write that is waited for keeps the reports for as long as any new one would.
        """
        return [
            ("PEXPIRE", self._reports_key, self._idle_ms),
            ("WAIT", self.replicas, FINAL_MS),
            LOOK,
        ]

    def confirm(self, client: redis.Redis) -> None:
        """Return when what was read before is final; Unavailable when it is not (yet)."""
        self.judge(*send_pipeline(client, self.commands))

    def judge(self, kept: Any, count: Any, info: Any) -> None:
        """Return when these replies say that what was read before is final, as with ``confirm``."""
        for reply in (kept, count, info):
            if isinstance(reply, Exception):
                raise reply
        if not kept or history_in(info) != self._history:
            raise Unavailable("the server's history was cut after reports were read")
        if count < self.replicas:
            raise Unavailable(
                f"{count} of {self.replicas} replicas have the reports that were read"
            )
