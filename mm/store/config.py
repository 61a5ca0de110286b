"""The configuration that the keys hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from mm.errors import SystemRefused, Unavailable
from mm.market import FIRST_SCHEMA, SCHEMA, Config, Symbol, symbol_from_store
from mm.store.calls import pairs
from mm.store.identity import identity_of, is_old, stored_fields
from mm.store.partitions import is_split, partitions_of
from mm.store.raw import no_system
from mm.store.records import parsed
from mm.store.refusals import old_units
from mm.store.scripts import Scripts


def read_config(scripts: Scripts, old: bool = False) -> Config | None:
    """The configuration that the keys hold, or None when they hold no system.

    With ``old`` the system may be of an old schema. SystemRefused when it is of another schema, or
    naming the key whose content is not what this system writes. Most programs use
    :func:`require_config`.
    """
    stored = stored_fields(scripts)
    if not stored:
        return None
    if not (old and is_old(stored)):
        identity_of(scripts.keys, stored)
    return parse_config_hash(scripts, stored)


def parse_config_hash(scripts: Scripts, stored: Mapping[str, str]) -> Config:
    """The configuration in the config hash ``stored`` and in the terms of the symbols.

    The hash may be of an old schema, where the terms are in the symbols' own hashes. SystemRefused
    naming the key whose content is not valid, and Unavailable when the keys were replaced
    meanwhile.
    """
    try:
        return _parse(scripts, stored)
    except SystemRefused as error:
        if stored_fields(scripts) != stored:
            raise Unavailable("the keys were replaced while they were read") from error
        raise


def _parse(scripts: Scripts, stored: Mapping[str, str]) -> Config:
    keys = scripts.keys
    if stored.get("schema") == FIRST_SCHEMA and stored.get("exposure_mode") == "notional":
        raise old_units(keys)
    names = stored.get("symbols", "").split()
    if is_split(stored):
        parts = [_parse(one, _config_hash(one)) for one in partitions_of(scripts)]
        found = {symbol.name: symbol for part in parts for symbol in part.symbols}
        symbols = [found[name] for name in names if name in found]
    else:
        symbols = _symbols(scripts, names, "symbol:*" if is_old(stored) else "terms:*")
    current = {**stored, "schema": SCHEMA} if is_old(stored) else stored
    return parsed(keys.named("config"), lambda: Config.from_store(current, symbols))


def _config_hash(scripts: Scripts) -> dict[str, str]:
    stored = stored_fields(scripts)
    if not stored:
        raise no_system(scripts.keys)
    return stored


def _symbols(scripts: Scripts, names: Sequence[str], family: str) -> list[Symbol]:
    keys, pipeline = scripts.keys, scripts.client.pipeline(transaction=False)
    for name in names:
        pipeline.hgetall(keys.member(family, name))
    symbols = []
    for name, fields in zip(names, pipeline.execute(), strict=True):
        terms = pairs([word for item in fields.items() for word in item])
        key = keys.member(family, name)
        symbols.append(parsed(key, partial(symbol_from_store, name, terms)))
    return symbols


def require_config(scripts: Scripts) -> Config:
    """The configuration that the keys hold.

    SystemRefused when they hold no system, or naming the key whose content is not what this system
    writes.
    """
    config = read_config(scripts)
    if config is None:
        raise no_system(scripts.keys)
    return config
