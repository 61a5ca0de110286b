"""The identity of a system: an id that is made once, with its keys, and never changes (R21)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from mm.errors import Unavailable
from mm.market import OLD_SCHEMAS
from mm.store.calls import hash_of
from mm.store.keys import Keys
from mm.store.records import Fields
from mm.store.refusals import foreign_system, old_schema
from mm.store.scripts import Scripts


@dataclass(frozen=True)
class Identity:
    """Which system the keys hold: 16 hex digits, and the instant of its creation.

    ``created_ms`` is on the server's clock.
    """

    system_id: str
    created_ms: int


def new_system_id() -> str:
    """An id for a new system: 16 random hex digits."""
    return secrets.token_hex(8)


def stored_fields(scripts: Scripts) -> dict[str, str]:
    """The config hash as text; empty when the keys hold no system."""
    return hash_of(scripts.client, scripts.keys.named("config"))


def is_old(stored: Mapping[str, str]) -> bool:
    """Whether the config hash is that of a system of an old schema, which `mm up` carries over."""
    return stored.get("schema") in OLD_SCHEMAS


def identity_of(keys: Keys, stored: Mapping[str, str]) -> Identity:
    """The identity in a config hash. SystemRefused when the hash is not one of this schema."""
    if is_old(stored):
        raise old_schema(keys, stored)
    fields = Fields(keys.named("config"), stored)
    return Identity(fields.word("system_id"), fields.integer("created_ms"))


def read_identity(scripts: Scripts) -> Identity | None:
    """The identity of the system that the keys hold, or None when they hold none."""
    stored = stored_fields(scripts)
    return identity_of(scripts.keys, stored) if stored else None


def check_identity(
    keys: Keys, stored: Mapping[str, str], expected: str | None, whose: str = "this process"
) -> Identity:
    """The identity in a config hash, which must be the expected one, if any.

    ``whose`` names in an error what belongs to the expected system. ForeignSystem when it is
    another or there is none; Unavailable when there is none and none is expected, or when the
    system is not carried over yet.
    """
    if not stored:
        if expected is not None:
            raise foreign_system(keys, expected, None, whose)
        raise Unavailable(f"no system under {keys.prefix} yet: `mm up` creates one")
    if is_old(stored):
        raise Unavailable(str(old_schema(keys, stored)))
    found = identity_of(keys, stored)
    if expected is not None and expected != found.system_id:
        raise foreign_system(keys, expected, found.system_id, whose)
    return found
