"""What an operator does to a system as a whole: to each of its partitions in turn."""

from __future__ import annotations

from collections.abc import Sequence

from mm.market import Config, config_changes, homes, parts
from mm.store.config import require_config
from mm.store.control import Controlled, ModeChange, Operator
from mm.store.partitions import partition_of, partitions_of
from mm.store.replies import Configured
from mm.store.scripts import Scripts


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

    Of a system with partitions one is changed after the other. It is safe to do it again when one
    of them was not reached. Errors are those of :meth:`mm.store.Scripts.control`.
    """
    changes: list[ModeChange] = []
    quote_ids: list[str] = []
    for one in partitions_of(scripts):
        own = [name for name in symbols if partition_of(scripts, name).keys == one.keys]
        if own or not symbols:
            done = one.control(system_id, mode, by, why, own, after_repair)
            changes += [change for change in done.changes if change not in changes]
            quote_ids += done.quote_ids
    return Controlled(changes, quote_ids)


def apply_config(
    scripts: Scripts, system_id: str, by: Operator, why: str, given: Config
) -> Configured:
    """Make the configuration of the system that which is given.

    Each partition changes in one step, then what they have in common. What has been changed already
    is left as it is, so it is safe to do it again when one of them was not reached. Errors are
    those of :meth:`mm.store.Scripts.configure`.
    """
    stored = require_config(scripts)
    every = partitions_of(scripts)
    if every == [scripts]:
        changes = config_changes(stored, given)
        return scripts.configure(system_id, stored.version, by, why, changes)
    known = {
        symbol.name: number
        for number, one in enumerate(every)
        for symbol in require_config(one).symbols
    }
    given = given.counted_as(stored)
    quote_ids: list[str] = []
    for one, part in zip(every, parts(given, known), strict=True):
        own = require_config(one)
        if changes := config_changes(own, part):
            quote_ids += one.configure(system_id, own.version, by, why, changes).quote_ids
    home = homes(given, known)
    routes = {
        symbol.name: every[home[symbol.name]].keys.prefix
        for symbol in given.symbols
        if symbol.name not in {one.name for one in stored.symbols}
    }
    market = [change for change in config_changes(stored, given) if change.kind == "market"]
    fields = {name: after for change in market for name, (_, after) in change.fields.items()}
    version = stored.version
    if fields or routes:
        version = scripts.rearrange(system_id, stored.version, by, why, fields, routes)
    return Configured(version, quote_ids)
