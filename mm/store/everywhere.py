"""What an operator does to a system as a whole: to each of its partitions in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from redis.exceptions import RedisError

from mm.errors import Unavailable
from mm.market import Config, config_changes, homes, parts
from mm.store.calls import execute, hash_of
from mm.store.config import require_config
from mm.store.control import Controlled, ModeChange, Operator
from mm.store.partitions import partition_of, partitions_of
from mm.store.replicated import history_of, is_replicated
from mm.store.replies import Configured
from mm.store.scripts import Scripts
from mm.store.trouble import trouble_of

T = TypeVar("T")


class Reach:
    """Takes a step in one partition after the other; ``missed`` says where it did not get through.

    With replicas a step counts only when they have it: else a failover could undo it unseen.
    """

    def __init__(self, root: Scripts) -> None:
        self.every = partitions_of(root)
        self.missed: list[str] = []
        self._replicas = int(
            execute(root.client, "HGET", root.keys.named("config"), "replicas") or 0
        )

    def take(self, one: Scripts, step: Callable[[], T]) -> T | None:
        """The result of a step, or None where the partition could not be reached.

        A system without partitions raises its errors.
        """
        try:
            history = history_of(one.client) if self._replicas else ""
            done = step()
        except (RedisError, Unavailable, OSError) as error:
            if len(self.every) == 1:
                raise
            self.missed.append(f"{one.keys.prefix} was not reached: {trouble_of(error).words}")
            return None
        self._confirm(one, history)
        return done

    def _confirm(self, one: Scripts, history: str) -> None:
        """Note where it is done, and a failover could undo it."""
        if not self._replicas:
            return
        try:
            confirmed = is_replicated(one.client, history, self._replicas)
        except (RedisError, OSError):
            confirmed = False
        if not confirmed:
            self.missed.append(
                f"{one.keys.prefix}: done, but its replicas do not have it, so a failover may undo"
                " it"
            )


def set_modes(
    scripts: Scripts,
    system_id: str,
    mode: str,
    by: Operator,
    why: str,
    symbols: Sequence[str],
    after_repair: bool = False,
) -> Controlled:
    """Set the mode of these symbols, or with none that of all, wherever they are.

    Of a system with partitions one is changed after the other, and those that cannot be reached are
    in ``missed``: it is safe to do it again. Errors are those of :meth:`mm.store.Scripts.control`.
    """
    reach = Reach(scripts)
    homes_of = {name: partition_of(scripts, name).keys for name in symbols}
    changes: list[ModeChange] = []
    quote_ids: list[str] = []
    reached: list[str] = []
    for one in reach.every:
        own = [name for name in symbols if homes_of[name] == one.keys]
        if symbols and not own:
            continue
        done = reach.take(one, _controlling(one, system_id, mode, by, why, own, after_repair))
        if done is not None:
            changes += [change for change in done.changes if change not in changes]
            quote_ids += done.quote_ids
            reached += [one.keys.prefix] if one.keys != scripts.keys else []
    return Controlled(changes, quote_ids, tuple(reach.missed), tuple(reached))


def _controlling(
    one: Scripts,
    system_id: str,
    mode: str,
    by: Operator,
    why: str,
    symbols: Sequence[str],
    after_repair: bool,
) -> Callable[[], Controlled]:
    return lambda: one.control(system_id, mode, by, why, symbols, after_repair)


def apply_config(
    scripts: Scripts, system_id: str, by: Operator, why: str, given: Config
) -> Configured:
    """Make the configuration of the system that which is given.

    Each partition changes in one step, then what they have in common, if all have been reached.
    What has been changed already is left as it is, so it is safe to do it again. Errors are those
    of :meth:`mm.store.Scripts.configure`.
    """
    stored = require_config(scripts)
    reach = Reach(scripts)
    if reach.every == [scripts]:
        changes = config_changes(stored, given)
        done = reach.take(
            scripts, lambda: scripts.configure(system_id, stored.version, by, why, changes)
        )
        assert done is not None
        return replace(done, missed=tuple(reach.missed))
    known = _known_homes(scripts, reach.every, stored, given)
    given = given.counted_as(stored)
    quote_ids: list[str] = []
    for one, part in zip(reach.every, parts(given, known), strict=True):
        done = reach.take(one, _configuring(one, system_id, by, why, part))
        quote_ids += done.quote_ids if done is not None else []
    version = stored.version
    if not reach.missed:
        version = _rearranged(scripts, reach, system_id, by, why, stored, given, known)
    return Configured(version, quote_ids, tuple(reach.missed))


def _known_homes(
    scripts: Scripts, every: Sequence[Scripts], stored: Config, given: Config
) -> dict[str, int]:
    """The partition of each symbol that one has.

    A symbol that was added before by a command that was broken off may be in a partition and have
    no route yet. So all partitions are asked; Unavailable when a new symbol needs one that does not
    answer.
    """
    numbers = {one.keys.prefix: number for number, one in enumerate(every)}
    routes = hash_of(scripts.client, scripts.keys.named("routes"))
    known = {name: numbers[prefix] for name, prefix in routes.items()}
    is_larger = {one.name for one in given.symbols} - {one.name for one in stored.symbols}
    for number, one in enumerate(every):
        try:
            known |= {symbol.name: number for symbol in require_config(one).symbols}
        except (RedisError, Unavailable, OSError) as error:
            if is_larger:
                raise Unavailable(
                    f"a new symbol needs all partitions, and {one.keys.prefix} does not answer:"
                    f" {trouble_of(error).words}. Nothing was changed"
                ) from error
    return known


def _configuring(
    one: Scripts, system_id: str, by: Operator, why: str, part: Config
) -> Callable[[], Configured]:
    def configure() -> Configured:
        own = require_config(one)
        changes = config_changes(own, part)
        if not changes:
            return Configured(own.version, [])
        return one.configure(system_id, own.version, by, why, changes)

    return configure


def _rearranged(
    scripts: Scripts,
    reach: Reach,
    system_id: str,
    by: Operator,
    why: str,
    stored: Config,
    given: Config,
    known: dict[str, int],
) -> int:
    """Change what the partitions have in common; the version of the configuration then."""
    home = homes(given, known)
    routes = {
        symbol.name: reach.every[home[symbol.name]].keys.prefix
        for symbol in given.symbols
        if symbol.name not in {one.name for one in stored.symbols}
    }
    market = [change for change in config_changes(stored, given) if change.kind == "market"]
    fields = {name: after for change in market for name, (_, after) in change.fields.items()}
    if not (fields or routes):
        return stored.version
    done = reach.take(
        scripts,
        lambda: scripts.rearrange(system_id, stored.version, by, why, fields, routes),
    )
    return stored.version if done is None else done
