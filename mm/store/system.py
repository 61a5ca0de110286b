"""What a program does first on a connection: create the system's keys, or check them."""

from __future__ import annotations

import contextlib

from redis.exceptions import RedisError

from mm.errors import MMError, Unavailable
from mm.market import Config, Durability, default_config, symbol_fields
from mm.store.config import read_config
from mm.store.connection import ServerInfo, check_durability, server_info
from mm.store.scripts import Scripts, config_differs


def create_system(
    scripts: Scripts, config: Config | None = None, durability: Durability | None = None
) -> ServerInfo:
    """Create the keys, or check them when they exist; what the server is.

    ``config`` is None for the configuration that the keys hold, or the default one for new keys.
    ``durability`` is None for that of the configuration. Raises DurabilityRefused, ConfigDiffers,
    and ForeignKeys when the keys are not a complete system.
    """
    info = server_info(scripts.client)
    config = config or read_config(scripts) or default_config()
    check_durability(info, durability or config.durability)
    scripts.setup(config)
    return info


def check_system(
    scripts: Scripts, config: Config | None = None, durability: Durability | None = None
) -> ServerInfo:
    """Check the keys and the server without a write; what the server is.

    The arguments are those of :func:`create_system`. Raises Unavailable while there are no keys,
    DurabilityRefused and ConfigDiffers.
    """
    info = server_info(scripts.client)
    stored = read_config(scripts)
    if stored is None:
        raise Unavailable(
            f"no system under {scripts.keys.prefix} yet: `mm up` or an exchange creates one"
        )
    check_durability(info, durability or (config or stored).durability)
    difference = "" if config is None else _difference(stored, config)
    if difference:
        raise config_differs(scripts.keys, difference)
    return info


def durability_settings(scripts: Scripts) -> tuple[Durability, tuple[str, ...] | None]:
    """What the keys say of durability, and the server's settings that are weaker than ``always``.

    The settings are None when the server does not show them. Never raises: it is for what is shown
    beside something else.
    """
    stored, weak = None, None
    with contextlib.suppress(MMError, RedisError):
        stored = scripts.client.hget(scripts.keys.named("config"), "durability")
    with contextlib.suppress(MMError, RedisError):
        info = server_info(scripts.client)
        weak = None if info.hidden else tuple(info.weak)
    return ("relaxed" if stored == b"relaxed" else "always"), weak


def _difference(stored: Config, given: Config) -> str:
    """The first field that differs and both values, in the words of ``setup.lua``; or ``""``."""
    found = stored.store_fields()
    for name, value in given.store_fields().items():
        if found[name] != value:
            return f"{name} stored {found[name]} given {value}"
    for symbol, wanted in zip(stored.symbols, given.symbols, strict=True):
        found = symbol_fields(symbol)
        for name, value in symbol_fields(wanted).items():
            if found[name] != value:
                return f"symbol {symbol.name} {name} stored {found[name]} given {value}"
    return ""
