"""What the scripts' refusals of a system mean, in words."""

from __future__ import annotations

from collections.abc import Mapping

from redis.exceptions import ResponseError

from mm.errors import ConfigDiffers, ForeignKeys, ForeignSystem, SystemRefused, ValueRefused
from mm.market import SCHEMA
from mm.store.keys import Keys


def config_differs(keys: Keys, difference: str) -> ConfigDiffers:
    """The error for a configuration that is not the stored one; ``difference`` names the field."""
    return ConfigDiffers(
        f"the keys under {keys.prefix} hold a system with another configuration: {difference}."
        " `mm config diff FILE` shows all that differs, and `mm config apply FILE` changes it while"
        " the system runs. Or leave --config out."
    )


def foreign_system(
    keys: Keys, expected: str, found: str | None, whose: str = "this process"
) -> ForeignSystem:
    """The error for a server that holds another system than the expected one, or none.

    ``whose`` names what belongs to the expected system.
    """
    holds = f"the server holds system {found} under {keys.prefix}"
    if found is None:
        holds = f"the server holds no system: {keys.named('config')} does not exist"
    return ForeignSystem(
        f"{whose} belongs to system {expected}, but {holds}. Nothing was set up anew. Name the"
        f" server that holds system {expected} (--redis-url), or restore its data from a backup. A"
        " new system needs a new --data-dir."
    )


def old_schema(keys: Keys, stored: Mapping[str, str]) -> SystemRefused:
    """The error for a system of an old schema, whose config hash is ``stored``."""
    return SystemRefused(
        f"the system under {keys.prefix} was made by an earlier version (schema"
        f" {stored.get('schema')}, this program has {SCHEMA}): `mm up` of this version carries it"
        " over"
    )


def split_system(keys: Keys, why: str) -> SystemRefused:
    """The error for the keys of a whole system where those of one partition are needed."""
    return SystemRefused(
        f"the system under {keys.prefix} has partitions, and {why}: name it by its key prefix, such"
        f" as {keys.partition(0).prefix}. {keys.named('routes')} has the prefix for each symbol"
    )


def old_units(keys: Keys) -> SystemRefused:
    """The error for a system of the old schema whose exposure is notional."""
    return SystemRefused(
        f"the system under {keys.prefix} was made by an earlier version, which counted notional"
        " exposure in another unit, so it cannot be carried over. Begin a new system with a new"
        " --data-dir (and with --redis-url an empty server or another --prefix)."
    )


def setup_refusal(keys: Keys, error: ResponseError) -> Exception:
    """The error that an error reply of ``setup.lua`` means; the reply itself when it is none."""
    code, _, detail = str(error).partition(" ")
    if code == "CONFIG_DIFFERS":
        return config_differs(keys, detail)
    if code == "FOREIGN_KEYS":
        return ForeignKeys(
            f"{detail} exists, but {keys.named('config')} does not: these keys are not a complete"
            " system of this program. Use another key prefix or another server, or restore the"
            " data from a backup."
        )
    if code == "OLD_UNITS":
        return old_units(keys)
    return error


def control_refusal(keys: Keys, system_id: str, error: ResponseError) -> Exception:
    """The error that a reply to an operator's script means; the reply itself when it is none."""
    code, _, detail = str(error).partition(" ")
    if code == "UNKNOWN_SYMBOL":
        return ValueRefused(f"symbol {detail!r}: it must be a configured one")
    if code == "BAD_CLIENT":
        return ValueRefused(f"client {detail!r}: it must be 1 to 64 of A-Z a-z 0-9 . _ -")
    if code == "BAD_MODE":
        return ValueRefused(f"mode {detail}")
    if code == "NOT_REPAIRED":
        return SystemRefused(
            f"{detail} has fills that are not in its position: see `mm repair {detail}`"
        )
    if code == "NOT_HALTED":
        return SystemRefused(f"{detail} trades, so it is not repaired: halt it with `mm halt`")
    if code == "STALE_CONFIG":
        return SystemRefused(
            f"the configuration was changed meanwhile, to version {detail}; nothing was written."
            " Look at the differences again"
        )
    if code == "FIXED":
        return ValueRefused(f"{detail}: it never changes while a system exists")
    if code == "NOT_INTEGER":
        return ValueRefused(f"{detail}: it must be an integer from 0 to 2^53 - 1")
    if code == "BAD_CHANGE":
        return ValueRefused(f"change {detail!r}: it must be alter, add, retire or return")
    if code == "EXISTS":
        return SystemRefused(f"symbol {detail} exists already, though no configuration names it")
    if code == "CHANGED":
        return SystemRefused(f"the symbol changed meanwhile, nothing was written: {detail}")
    return membership_refusal(keys, system_id, error)


def membership_refusal(keys: Keys, system_id: str, error: ResponseError) -> Exception:
    """The error that a reply to a member of system ``system_id`` means; the reply itself when none.

    The scripts that a member calls by its system's id refuse those of another one.
    """
    code, _, found = str(error).partition(" ")
    if code == "FOREIGN_SYSTEM":
        return foreign_system(keys, system_id, None if found == "nothing" else found)
    return error
