"""What a program does first on a connection: make a system's keys, or join the system there."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import redis
from redis.exceptions import RedisError

from mm.errors import MMError, SystemRefused
from mm.market import DURABILITIES, Config, Durability, config_changes, default_config, homes, parts
from mm.store.cluster import spreads
from mm.store.config import parse_config_hash
from mm.store.connection import ServerInfo, check_durability, server_info
from mm.store.identity import (
    Identity,
    check_identity,
    identity_of,
    is_old,
    new_system_id,
    read_identity,
    stored_fields,
)
from mm.store.partitions import is_split, partitions_of
from mm.store.refusals import config_differs
from mm.store.scripts import Scripts


@dataclass(frozen=True)
class Joined:
    """A system that a program may use: what its server is, and which system it is.

    ``how`` is what was done to the keys: ``created``, ``upgraded`` from the old schema, or
    ``joined``, which writes nothing. ``is_split``: the keys are what the partitions of the system
    have in common.
    """

    server: ServerInfo
    identity: Identity
    how: str
    is_split: bool = False


def create_system(
    scripts: Scripts, config: Config | None = None, durability: Durability | None = None
) -> Joined:
    """Make the keys of a new system, carry one of the old schema over, or join the one there.

    ``config`` is None for the configuration that the keys hold, or the default one for new keys.
    ``durability`` is None for that of the configuration. Raises DurabilityRefused, ConfigDiffers,
    and ForeignKeys when the keys are not a complete system. Only an explicit act of a person may
    lead here (R21): every other program uses :func:`join_system`.
    """
    server = server_info(scripts.client)
    stored = stored_fields(scripts)
    if stored and not is_old(stored):
        return join_system(scripts, config, durability)
    if config is None:
        config = parse_config_hash(scripts, stored) if stored else default_config()
    for one in _servers(scripts, config.partitions):
        found = server_info(one)
        check_durability(found, durability or config.durability)
        if found.replicas < config.replicas:
            raise SystemRefused(
                f"replicas {config.replicas}: the {found.name} there has {found.replicas} now."
                " A report is final when so many have it, so none ever would be."
            )
    if config.partitions > 1:
        how = _create_partitions(scripts, config)
    else:
        how = scripts.setup(config, new_system_id())
    identity = identity_of(scripts.keys, stored_fields(scripts))
    return Joined(server, identity, "joined" if how == "matched" else how)


def _servers(scripts: Scripts, partitions: int) -> list[redis.Redis]:
    """A client of the server that has these keys, and of that of each partition elsewhere."""
    found = [scripts.client]
    if partitions > 1 and spreads(scripts.client):
        found += [
            scripts.over(scripts.keys.partition(number)).client for number in range(partitions)
        ]
    return found


def _create_partitions(scripts: Scripts, config: Config) -> str:
    """Make each partition, then what they have in common; what was made before is left as it is.

    A crash in between leaves partitions without it. So where it is, all partitions have been made.
    """
    keys = scripts.keys
    every = [scripts.over(keys.partition(number)) for number in range(config.partitions)]
    known = {found.system_id for one in every if (found := read_identity(one))}
    if len(known) > 1:
        raise SystemRefused(f"the partitions under {keys.prefix} are of several systems")
    system_id = next(iter(known), new_system_id())
    for number, (one, part) in enumerate(zip(every, parts(config), strict=True)):
        one.setup(part, system_id, number)
    home = homes(config)
    routes = {name: keys.partition(number).prefix for name, number in home.items()}
    return scripts.found(config, system_id, routes)


def join_system(
    scripts: Scripts,
    config: Config | None = None,
    durability: Durability | None = None,
    system_id: str | None = None,
    whose: str = "this process",
) -> Joined:
    """Check the keys and the server without a write.

    ``system_id`` is that of the system that must be there; None accepts any. ``whose`` names in an
    error what belongs to it. The other arguments are those of :func:`create_system`. Raises
    Unavailable while there is no system and none is expected, ForeignSystem when the expected one
    is not there, DurabilityRefused and ConfigDiffers.
    """
    server = server_info(scripts.client)
    stored = stored_fields(scripts)
    identity = check_identity(scripts.keys, stored, system_id, whose)
    found = parse_config_hash(scripts, stored)
    split = is_split(stored)
    if split:
        for one in partitions_of(scripts):
            check_identity(one.keys, stored_fields(one), identity.system_id, whose)
    wanted = durability or (config or found).durability
    check_durability(server, wanted)
    for client in _servers(scripts, found.partitions)[1:] if split else []:
        check_durability(server_info(client), wanted)
    difference = "" if config is None else _difference(found, config)
    if difference:
        raise config_differs(scripts.keys, difference)
    return Joined(server, identity, "joined", split)


def durability_settings(scripts: Scripts) -> tuple[Durability, tuple[str, ...] | None]:
    """What the keys say of durability, and the server's settings that are weaker than ``always``.

    The settings are None when the server does not show them. Never raises: it is for what is shown
    beside something else.
    """
    stored: Durability = "always"
    weak = None
    with contextlib.suppress(MMError, RedisError):
        stored = durability_in(scripts)
    with contextlib.suppress(MMError, RedisError):
        info = server_info(scripts.client)
        weak = None if info.hidden else tuple(info.weak)
    return stored, weak


def durability_in(scripts: Scripts) -> Durability:
    """What the keys say of durability; errors of the connection are raised."""
    stored = scripts.client.hget(scripts.keys.named("config"), "durability")
    found = [one for one in DURABILITIES if stored == one.encode()]
    return found[0] if found else "always"


def _difference(stored: Config, given: Config) -> str:
    """The first field that differs and both values, in the words of ``setup.lua``; or ``""``."""
    changes = config_changes(stored, given)
    if any(change.kind not in ("market", "alter") for change in changes):
        found, wanted = (" ".join(symbol.name for symbol in one.traded) for one in (stored, given))
        return f"symbols stored {found} given {wanted}"
    for change in changes:
        for name, (before, after) in change.fields.items():
            where = f"symbol {change.symbol} " if change.symbol else ""
            return f"{where}{name} stored {before} given {after}"
    return ""
