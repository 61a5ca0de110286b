"""The configuration that the keys hold."""

from __future__ import annotations

from functools import partial

from mm.market import Config, symbol_from_store
from mm.store.calls import pairs
from mm.store.raw import no_system
from mm.store.records import parsed
from mm.store.scripts import Scripts


def read_config(scripts: Scripts) -> Config | None:
    """The configuration that the keys hold, or None when they hold no system.

    For programs that may create a system; all others use :func:`require_config`. SystemRefused
    naming the key whose content is not what this system writes.
    """
    client, keys = scripts.client, scripts.keys
    stored = pairs([word for item in client.hgetall(keys.named("config")).items() for word in item])
    if not stored:
        return None
    names = stored.get("symbols", "").split()
    pipeline = client.pipeline(transaction=False)
    for name in names:
        pipeline.hgetall(keys.member("symbol:*", name))
    symbols = []
    for name, fields in zip(names, pipeline.execute(), strict=True):
        state = pairs([word for item in fields.items() for word in item])
        key = keys.member("symbol:*", name)
        symbols.append(parsed(key, partial(symbol_from_store, name, state)))
    return parsed(keys.named("config"), lambda: Config.from_store(stored, symbols))


def require_config(scripts: Scripts) -> Config:
    """The configuration that the keys hold.

    SystemRefused when they hold no system, or naming the key whose content is not what this system
    writes.
    """
    config = read_config(scripts)
    if config is None:
        raise no_system(scripts.keys)
    return config
