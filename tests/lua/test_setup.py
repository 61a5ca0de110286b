"""setup.lua: the keys are created once, and a system that differs is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from mm.errors import ConfigDiffers, ForeignKeys, SystemRefused
from mm.market import SCHEMA, Config
from mm.store import Identity, execute, read_config, read_identity, require_config, take_snapshot
from tests.kit import MakeWorld, World, make_symbol, symbol_names
from tests.kit.old import make_old


class TestSetup:
    def test_created_then_matched(self, make_world: MakeWorld) -> None:
        """The first call creates the keys, any further one with the same configuration matches."""
        world = make_world(setup=False)
        assert world.set_up() == "created"
        before = world.dump()
        assert world.set_up() == "matched"
        assert world.dump() == before

    def test_keys(self, world: World) -> None:
        """What is created: config, exposure, cursors, and four hashes of each symbol."""
        assert world.dump().keys() == {
            world.keys.named("config"),
            world.keys.named("exposure"),
            world.keys.named("cursors"),
            *(
                world.keys.member(family, name)
                for family in ("position:*", "reservation:*", "symbol:*", "terms:*")
                for name in world.names
            ),
        }
        assert world.hash("cursors") == {"exchange": "0-0", "state": "0-0"}
        assert world.hash("exposure") == {"limit_units": "20", "bid_units": "0", "ask_units": "0"}

    def test_read_back(self, world: World) -> None:
        """The keys give back exactly the configuration that made them."""
        assert read_config(world.scripts) == world.config

    def test_identity(self, make_world: MakeWorld) -> None:
        """A new system has the given id and the server's time; a later id changes neither."""
        world = make_world(setup=False)
        before = world.now_ms()
        world.set_up(system_id="00000000000000aa")
        created_ms = int(world.hash("config")["created_ms"])
        assert before <= created_ms <= world.now_ms()
        assert world.set_up(system_id="00000000000000bb") == "matched"
        assert read_identity(world.scripts) == Identity("00000000000000aa", created_ms)

    def test_no_identity(self, make_world: MakeWorld) -> None:
        """Where there is no system there is no identity."""
        assert read_identity(make_world(setup=False).scripts) is None

    def test_nothing_to_read(self, make_world: MakeWorld) -> None:
        """Where there is no system there is no configuration."""
        assert read_config(make_world(setup=False).scripts) is None

    def test_matched_in_flight(self, world: World) -> None:
        """A system with quotes and fills matches too: what changes in it is no configuration."""
        world.propose()
        world.trade(world.order())
        assert world.set_up() == "matched"

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"limit_units": 21}, "limit_units stored 20 given 21"),
            (
                {"exposure_mode": "notional", "currency": "USD", "notional_unit": Decimal("0.01")}
                | {"limit_units": 2000},
                "limit_units",
            ),
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
            world.set_up(config)
        assert world.dump() == before

    @pytest.mark.parametrize(
        "name", ["exposure", "cursors", "fills", "positions", "quotes", "expiry"]
    )
    def test_foreign_keys(self, make_world: MakeWorld, name: str) -> None:
        """Keys without a configuration are not this system's: refused, and no key changes."""
        world = make_world(setup=False)
        self.foreign(world, world.keys.named(name))

    @pytest.mark.parametrize("family", ["symbol:*", "position:*", "reservation:*", "terms:*"])
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
            world.set_up()
        assert world.dump() == before

    def test_lost_config(self, world: World) -> None:
        """A system that lost its configuration is refused, not started afresh over its ledger."""
        world.propose()
        world.trade(world.order(), world.order("sell"))
        world.drain()
        execute(world.client, "DEL", world.keys.named("config"))
        with pytest.raises(ForeignKeys):
            world.set_up()

    def test_early_orders(self, make_world: MakeWorld) -> None:
        """Orders sent before the system existed are no obstacle: they are matched later."""
        world = make_world(setup=False)
        world.send(world.order())
        assert world.set_up() == "created"
        assert world.scripts.match(10).orders == 1

    def test_many_symbols(self, make_world: MakeWorld) -> None:
        """Three hundred symbols are set up and read back."""
        world = make_world(symbols=300)
        assert world.set_up() == "matched"
        config = read_config(world.scripts)
        assert config is not None
        assert [symbol.name for symbol in config.symbols] == symbol_names(300)


class TestOldSchema:
    """A system of schema 1 gets an identity and the fields that it lacks, and goes on."""

    @staticmethod
    def age(world: World) -> None:
        """Make the keys those of schema 1, and let two fields be missing."""
        make_old(world.scripts, "1")
        world.client.hdel(world.keys.named("config"), "keep_orders")
        world.client.hdel(world.keys.member("symbol:*", "BBB"), "multiplier")

    def test_upgraded(self, world: World) -> None:
        """Ids, missing fields and the schema are added; orders, fills and positions stay."""
        whole = world.hash("terms:*", "BBB")
        world.trade(world.order())
        market = {key: value for key, value in world.dump().items() if ":config" not in key}
        self.age(world)
        assert world.set_up(system_id="00000000000000aa") == "upgraded"
        found = world.hash("config")
        assert (found["schema"], found["system_id"]) == (SCHEMA, "00000000000000aa")
        assert abs(int(found["created_ms"]) - world.now_ms()) < 60_000
        assert read_config(world.scripts) == world.config
        assert world.hash("terms:*", "BBB") == whole
        assert market == {key: value for key, value in world.dump().items() if ":config" not in key}
        assert world.set_up(system_id="00000000000000bb") == "matched"

    def test_terms_get_keys_of_their_own(self, make_world: MakeWorld) -> None:
        """What stood in a symbol's hash of schema 2 goes where it belongs; nothing else changes."""
        world = make_world(symbols=4)
        for name in world.names:
            world.propose(name)
        world.trade(world.order())
        world.drain()
        world.control("reducing", "AAA", why="news")
        world.configure(symbols=world.config.symbols[:3], limit_units=19)
        position = world.keys.member("position:*", "BBB")
        world.client.hset(position, mapping={"halted": "a gap"})
        position = world.keys.member("position:*", "CCC")
        world.client.hset(position, mapping={"frozen_until_ms": "9", "frozen_why": "lost 2"})
        whole, config = world.dump(), require_config(world.scripts)
        make_old(world.scripts, "2")
        assert "tick" in world.hash("symbol:*", "AAA")
        with pytest.raises(SystemRefused, match=r"schema 2, .*`mm up` of this version carries it"):
            take_snapshot(world.scripts)
        found = read_config(world.scripts, old=True)
        assert found == config
        assert found is not None
        assert world.set_up(found, system_id="00000000000000bb") == "upgraded"
        assert world.dump() == whole
        assert world.set_up(found) == "matched"

    def test_another_configuration(self, world: World) -> None:
        """An old system with another configuration is refused, and no key changes."""
        self.age(world)
        before = world.dump()
        with pytest.raises(ConfigDiffers, match="limit_units stored 20 given 21"):
            world.set_up(replace(world.config, limit_units=21))
        assert world.dump() == before

    def test_notional(self, make_world: MakeWorld) -> None:
        """Old notional units were not money: refused with a way out, and no key changes."""
        world = make_world(mode="notional", limit=2_000)
        self.age(world)
        before = world.dump()
        with pytest.raises(SystemRefused, match=r"cannot be carried over.*new --data-dir"):
            world.set_up()
        assert world.dump() == before

    def test_notional_is_refused_before_it_is_read(self, make_world: MakeWorld) -> None:
        """`mm up` reads the old configuration first: it gets the same sentence."""
        world = make_world(mode="notional", limit=2_000)
        self.age(world)
        with pytest.raises(SystemRefused, match=r"cannot be carried over.*new --data-dir"):
            read_config(world.scripts, old=True)

    def test_units_of_lots(self, world: World) -> None:
        """An old system in lots gets the fields of the unit, in which lots are counted."""
        self.age(world)
        assert world.set_up() == "upgraded"
        assert world.hash("config")["currency"] == "-"
        assert world.hash("config")["notional_unit"] == "1"
        assert world.hash("terms:*", "AAA")["notional_units"] == "1"

    def test_readers_refuse(self, world: World) -> None:
        """Who reads an old system learns that `mm up` carries it over."""
        self.age(world)
        for read in (read_config, read_identity, take_snapshot):
            with pytest.raises(SystemRefused, match="`mm up` of this version carries it over"):
                read(world.scripts)
