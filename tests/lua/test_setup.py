"""setup.lua: the keys are created once, and a system that differs is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from mm.errors import ConfigDiffers, ForeignKeys
from mm.market import Config
from mm.store import execute, read_config
from tests.kit import MakeWorld, World, make_symbol, symbol_names


class TestSetup:
    def test_created_then_matched(self, make_world: MakeWorld) -> None:
        """The first call creates the keys, any further one with the same configuration matches."""
        world = make_world(setup=False)
        assert world.scripts.setup(world.config) == "created"
        before = world.dump()
        assert world.scripts.setup(world.config) == "matched"
        assert world.dump() == before

    def test_keys(self, world: World) -> None:
        """What is created: config, exposure, cursors, and three hashes of each symbol."""
        assert world.dump().keys() == {
            world.keys.named("config"),
            world.keys.named("exposure"),
            world.keys.named("cursors"),
            *(
                world.keys.member(family, name)
                for family in ("position:*", "reservation:*", "symbol:*")
                for name in world.names
            ),
        }
        assert world.hash("cursors") == {"exchange": "0-0", "state": "0-0"}
        assert world.hash("exposure") == {"limit_units": "20", "bid_units": "0", "ask_units": "0"}

    def test_read_back(self, world: World) -> None:
        """The keys give back exactly the configuration that made them."""
        assert read_config(world.scripts) == world.config

    def test_nothing_to_read(self, make_world: MakeWorld) -> None:
        """Where there is no system there is no configuration."""
        assert read_config(make_world(setup=False).scripts) is None

    def test_matched_in_flight(self, world: World) -> None:
        """A system with quotes and fills matches too: what changes in it is no configuration."""
        world.propose()
        world.trade(world.order())
        assert world.scripts.setup(world.config) == "matched"

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"limit_units": 21}, "limit_units stored 20 given 21"),
            ({"exposure_mode": "notional", "limit_units": 2000}, "limit_units"),
            ({"quote_ttl_ms": 29_000}, "quote_ttl_ms stored 30000 given 29000"),
            ({"durability": "relaxed"}, "durability stored always given relaxed"),
            ({"keep_orders": 7}, "keep_orders"),
            ({"symbols": (make_symbol("AAA"),)}, "symbols stored AAA BBB given AAA"),
        ],
    )
    def test_differs(self, world: World, changes: dict[str, Any], field: str) -> None:
        """Another configuration is refused, names the field, and changes no key."""
        self.refused(world, replace(world.config, **changes), field)

    @pytest.mark.parametrize("name", ["spread_ticks", "size_lots", "skew_ticks", "multiplier"])
    def test_symbol_differs(self, world: World, name: str) -> None:
        """A symbol's parameter that differs is refused with the symbol's name."""
        symbols = (world.config.symbols[0], make_symbol("BBB", **{name: 5}))
        self.refused(world, replace(world.config, symbols=symbols), f"symbol BBB {name}")

    @staticmethod
    def refused(world: World, config: Config, field: str) -> None:
        """The configuration is refused by this field and no key changes."""
        before = world.dump()
        with pytest.raises(ConfigDiffers, match=field):
            world.scripts.setup(config)
        assert world.dump() == before

    @pytest.mark.parametrize(
        "name", ["exposure", "cursors", "fills", "positions", "quotes", "expiry"]
    )
    def test_foreign_keys(self, make_world: MakeWorld, name: str) -> None:
        """Keys without a configuration are not this system's: refused, and no key changes."""
        world = make_world(setup=False)
        self.foreign(world, world.keys.named(name))

    @pytest.mark.parametrize("family", ["symbol:*", "position:*", "reservation:*"])
    def test_foreign_members(self, make_world: MakeWorld, family: str) -> None:
        """A symbol's keys without a configuration are refused as well."""
        world = make_world(setup=False)
        self.foreign(world, world.keys.member(family, "BBB"))

    @staticmethod
    def foreign(world: World, key: str) -> None:
        """With this key alone the set-up is refused, names it, and changes no key."""
        execute(world.client, "HSET", key, "a", "b")
        before = world.dump()
        with pytest.raises(ForeignKeys, match=re.escape(key)):
            world.scripts.setup(world.config)
        assert world.dump() == before

    def test_lost_config(self, world: World) -> None:
        """A system that lost its configuration is refused, not started afresh over its ledger."""
        world.propose()
        world.trade(world.order(), world.order("sell"))
        world.drain()
        execute(world.client, "DEL", world.keys.named("config"))
        with pytest.raises(ForeignKeys):
            world.scripts.setup(world.config)

    def test_early_orders(self, make_world: MakeWorld) -> None:
        """Orders sent before the system existed are no obstacle: they are matched later."""
        world = make_world(setup=False)
        world.send(world.order())
        assert world.scripts.setup(world.config) == "created"
        assert world.scripts.match(10).orders == 1

    def test_many_symbols(self, make_world: MakeWorld) -> None:
        """Three hundred symbols are set up and read back."""
        world = make_world(symbols=300)
        assert world.scripts.setup(world.config) == "matched"
        config = read_config(world.scripts)
        assert config is not None
        assert [symbol.name for symbol in config.symbols] == symbol_names(300)
