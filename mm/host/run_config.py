"""The configuration that a run wants: what was given, and what the keys hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mm.market import Config, Durability, default_config
from mm.store import Keys, config_differs


def wanted_config(
    keys: Keys,
    stored: Config | None,
    given: Config | None,
    counts: Mapping[str, int | None],
    durability: Durability | None,
) -> Config | None:
    """The configuration that the system must have; None for the one that the keys hold.

    ``counts`` are the partitions and replicas that were asked for, None where nothing was. Raises
    ConfigDiffers when the keys hold others.
    """
    asked = {name: count for name, count in counts.items() if count is not None}
    config = given
    if asked and config is None and stored is not None:
        # What the keys hold, retired symbols and all: only these numbers can be others.
        for name, count in asked.items():
            if count != getattr(stored, name):
                raise config_differs(keys, f"{name} stored {getattr(stored, name)} given {count}")
    elif asked:
        found = config or default_config()
        config = replace(
            found,
            partitions=asked.get("partitions", found.partitions),
            replicas=asked.get("replicas", found.replicas),
        )
    if durability == "declared" and stored is None:
        # Every program that looks at the system must know it.
        config = replace(config or default_config(), durability="declared")
    return config
