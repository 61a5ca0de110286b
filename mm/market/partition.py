"""Which symbols each partition of a system has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mm.errors import ConfigError
from mm.market.config import Config


def homes(config: Config, known: Mapping[str, int] | None = None) -> dict[str, int]:
    """The partition of each symbol, from 0.

    A symbol stays where it is ``known`` to be. The others go, in their order, to the partition that
    has the fewest, the first of such. ConfigError when a partition would have none.
    """
    found = {name: number for name, number in (known or {}).items() if number < config.partitions}
    counts = [list(found.values()).count(number) for number in range(config.partitions)]
    for symbol in config.symbols:
        if symbol.name not in found:
            found[symbol.name] = counts.index(min(counts))
            counts[found[symbol.name]] += 1
    if not all(counts):
        raise ConfigError(
            f"partitions {config.partitions}: there are {len(config.symbols)} symbols, and each"
            " partition must have one at least"
        )
    return {symbol.name: found[symbol.name] for symbol in config.symbols}


def parts(config: Config, known: Mapping[str, int] | None = None) -> list[Config]:
    """The configuration of each partition: the same, with the partition's symbols alone.

    ``known`` and errors are as with :func:`homes`. The limit is that of all partitions.
    """
    home = homes(config, known)
    return [
        replace(config, symbols=tuple(one for one in config.symbols if home[one.name] == number))
        for number in range(config.partitions)
    ]
