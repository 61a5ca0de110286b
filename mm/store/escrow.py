"""The scripts by which partitions share one exposure limit, and set up what they have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from redis.exceptions import ResponseError

from mm.market import Config, Lease, Treasury
from mm.store.calls import text
from mm.store.control import Operator
from mm.store.refusals import control_refusal, setup_refusal
from mm.store.script_calls import ScriptCalls


class EscrowScripts(ScriptCalls):
    """One method for each script of the escrow."""

    def found(self, config: Config, system_id: str, routes: Mapping[str, str]) -> str:
        """Create what the partitions have in common, or check it: ``created`` or ``matched``.

        ``routes`` maps each symbol to the key prefix of its partition. All partitions exist, and
        belong to the system ``system_id``. Raises ConfigDiffers and ForeignKeys.
        """
        stored = config.store_fields()
        args = [system_id, str(len(stored)), *(word for item in stored.items() for word in item)]
        args += [word for item in routes.items() for word in item]
        try:
            return text(self.call("found", *args))
        except ResponseError as error:
            raise setup_refusal(self.keys, error) from error

    def rearrange(
        self,
        system_id: str,
        version: int,
        by: Operator,
        why: str,
        fields: Mapping[str, str],
        routes: Mapping[str, str],
    ) -> int:
        """Change what the partitions have in common; the new version of the configuration.

        ``version`` is the one that the changes start from, ``routes`` are those of new symbols.
        Errors are those of :meth:`mm.store.Scripts.configure`.
        """
        args = [system_id, str(version), by.who, by.role, why, str(len(fields))]
        args += [word for item in (*fields.items(), *routes.items()) for word in item]
        try:
            return int(self.call("rearrange", *args))
        except ResponseError as error:
            raise control_refusal(self.keys, system_id, error) from error

    def lease(self, granted: int = 0, due: int = 0, replicas: int = 0) -> Lease:
        """Take part in the escrow as the partition of these keys; how it stands then.

        ``granted`` and ``due`` are the units that the treasury has ever granted it, and those that
        it must ever have returned; 0 tells it nothing new. So many ``replicas`` have what the reply
        says, else Unavailable is raised: only then may it be copied to the treasury.
        """
        return Lease(*self.call_replicated(replicas, "lease", granted, due))

    def treasury(
        self, moves: Iterable[tuple[int, int, int, int]] = (), replicas: int = 0
    ) -> Treasury:
        """Take back what was returned, and grant; how the treasury stands then.

        A move is a partition's number, the units that it has ever returned, those that it was ever
        granted as far as the caller knows, and the units to grant it now. ``replicas`` as with
        :meth:`lease`.
        """
        words = (word for move in moves for word in move)
        return treasury_of(self.call_replicated(replicas, "treasury", *words))


def treasury_of(reply: Any) -> Treasury:
    """The reply of ``treasury.lua``."""
    limit, free, _, *rows = reply
    return Treasury(limit, free, tuple(rows[1::3]), tuple(rows[2::3]))
