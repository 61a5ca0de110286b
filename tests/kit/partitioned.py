"""A small system of several partitions on one server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from mm.market import Config, Lease, Treasury, balance, homes, parts
from mm.store import DEFAULT_PREFIX, Keys, Scripts
from tests.kit.backends import Backend
from tests.kit.world import SYSTEM_ID, World


class Partitioned:
    """The partitions as worlds, and what they have in common as one without symbols of its own."""

    def __init__(self, backend: Backend, config: Config, prefix: str = DEFAULT_PREFIX) -> None:
        keys = Keys(prefix)
        self.config = config
        self.worlds = [
            World(backend, part, keys.partition(number), setup=False)
            for number, part in enumerate(parts(config))
        ]
        for number, world in enumerate(self.worlds):
            assert world.scripts.setup(world.config, SYSTEM_ID, number) == "created"
        self.root = World(backend, config, keys, setup=False)
        home = homes(config)
        self.routes = {name: keys.partition(number).prefix for name, number in home.items()}
        assert self.root.scripts.found(config, SYSTEM_ID, self.routes) == "created"
        self.held: dict[int, Lease] = {}

    def world_of(self, symbol: str) -> World:
        """The world of the symbol's partition."""
        return self.worlds[homes(self.config)[symbol]]

    def round(self, heard: Callable[[int], bool] = lambda number: True) -> Treasury:
        """One round of a balancer that hears these partitions."""
        scripts = self.root.scripts
        leases = {
            number: world.scripts.lease()
            for number, world in enumerate(self.worlds)
            if heard(number)
        }
        before = scripts.treasury(
            (number, lease.returned, 0, 0) for number, lease in leases.items()
        )
        moves = balance(before, leases)
        after = scripts.treasury(
            (number, 0, before.granted[number], units) for number, units in moves.grants.items()
        )
        for number in leases:
            self.worlds[number].scripts.lease(after.granted[number], moves.dues.get(number, 0))
        return after

    def leased(self) -> list[int]:
        """The leases of the partitions."""
        return [world.scripts.lease().units for world in self.worlds]


def lose(monkeypatch: pytest.MonkeyPatch, prefix: str, *names: str) -> None:
    """From now on these methods find the partition's server gone."""
    for name in names:
        real = getattr(Scripts, name)

        def losing(self: Scripts, *words: Any, real: Any = real) -> Any:
            if self.keys.prefix == prefix:
                raise redis.exceptions.ConnectionError("gone")
            return real(self, *words)

        monkeypatch.setattr(Scripts, name, losing)
