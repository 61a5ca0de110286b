"""Keys as earlier versions have made them."""

from __future__ import annotations

from mm.store import Scripts, text

#: What stood in the hash of a symbol up to schema 2, and is with its position now.
_OF_POSITION = ("halted", "frozen_until_ms", "frozen_why")


def make_old(scripts: Scripts, schema: str) -> None:
    """Make the keys those of schema 1 or 2, where all of a symbol but its position is in one hash.

    A system of schema 1 has no identity.
    """
    client, keys = scripts.client, scripts.keys
    config = keys.named("config")
    client.hset(config, "schema", schema)
    if schema == "1":
        client.hdel(config, "system_id", "created_ms", "config_version")
    for name in text(client.hget(config, "symbols") or b"").split():
        key, terms = (keys.member(family, name) for family in ("symbol:*", "terms:*"))
        for field, value in client.hgetall(terms).items():
            client.hset(key, text(field), text(value))
        client.delete(terms)
        position = keys.member("position:*", name)
        for field in _OF_POSITION:
            if found := client.hget(position, field):
                client.hset(key, field, text(found))
                client.hdel(position, field)
