"""The partitions of a system, each with all keys of a system for its own symbols.

What they have in common, the root, is under the system's own key prefix; the first partition of
``{mm}`` is under ``{mm-0}``.
"""

from __future__ import annotations

from collections.abc import Mapping

from mm.store.calls import execute, text
from mm.store.keys import Keys
from mm.store.scripts import Scripts


def is_split(config: Mapping[str, str]) -> bool:
    """Whether a config hash is that of what the partitions of a system have in common."""
    return "partitions" in config and "partition" not in config


def partition_count(scripts: Scripts) -> int:
    """Into how many partitions the system of these keys is split; 0 when it is not split."""
    config = scripts.keys.named("config")
    count, own = execute(scripts.client, "HMGET", config, "partitions", "partition")
    return 0 if count is None or own is not None else int(count)


def partitions_of(scripts: Scripts) -> list[Scripts]:
    """The scripts of each partition; of a system without partitions itself."""
    count = partition_count(scripts)
    if not count:
        return [scripts]
    return [scripts.over(scripts.keys.partition(number)) for number in range(count)]


def release_expired(scripts: Scripts) -> None:
    """Release what is past its deadline, in each partition: for a system without an exchange."""
    for one in partitions_of(scripts):
        while one.expire().more:
            pass


def partition_of(scripts: Scripts, symbol: str) -> Scripts:
    """The scripts of the partition that has the symbol; the given ones when no partition does."""
    route = execute(scripts.client, "HGET", scripts.keys.named("routes"), symbol)
    return scripts if route is None else scripts.over(Keys(text(route)))
