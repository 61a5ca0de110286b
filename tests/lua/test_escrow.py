"""The escrow of the global limit: its three scripts, and what a lease bounds."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from redis.exceptions import ResponseError

from mm.audit import audit
from mm.errors import ConfigDiffers, ForeignKeys, MMError, ProposalRefused
from mm.market import MAX_INT, Lease
from mm.store import Operator, take_snapshot
from tests.kit import SYSTEM_ID, Backend, Fake, assert_sound, make_symbol, small_config
from tests.kit.partitioned import Partitioned

ANN = Operator("ann")


def partitioned(backend: Backend, count: int = 2, limit: int = 20, **changes: Any) -> Partitioned:
    """A system with two symbols for each partition, each of which asks for 10 lots a side."""
    return Partitioned(backend, small_config(2 * count, limit, partitions=count, **changes))


@pytest.fixture
def two(fake: Fake) -> Partitioned:
    """Two partitions under a limit of 20 lots; nothing is leased yet."""
    return partitioned(fake)


class TestLease:
    def test_nothing_is_quoted_without_one(self, backend: Backend) -> None:
        """A symbol waits for what its partition has no lease for, and is served when it has."""
        world = partitioned(backend).worlds[0]
        assert world.propose("AAA").outcome == "omitted"
        assert world.reserved() == (0, 0)
        lease = world.scripts.lease()
        assert lease == Lease(0, 0, 0, 0, claimed=10, grain=1)
        assert world.scripts.survey(["AAA"]).servable == []
        assert world.scripts.lease(granted=6).units == 6
        assert world.scripts.survey(["AAA"]).servable == ["AAA"]
        placed = world.propose("AAA", trigger="capacity")
        assert (placed.outcome, placed.bid_lots, placed.ask_lots) == ("reduced", 6, 6)
        assert world.scripts.lease() == Lease(6, 0, 0, 6, claimed=10, grain=1)
        world.scripts.lease(granted=9)
        world.propose("AAA", trigger="capacity")
        assert world.scripts.lease() == Lease(9, 0, 0, 9, claimed=10, grain=1)
        assert_sound(world)

    def test_each_look_is_a_write(self, two: Partitioned) -> None:
        """Without a write WAIT would say nothing of what was read: so both looks have one."""
        world = two.worlds[0]
        for number in range(1, 4):
            world.scripts.lease()
            two.root.scripts.treasury()
            assert world.hash("lease")["seq"] == str(number)
            assert two.root.hash("treasury")["seq"] == str(number)

    def test_what_comes_twice_or_late_changes_nothing(self, two: Partitioned) -> None:
        """Each number replaces a smaller one only."""
        world = two.worlds[0]
        world.scripts.lease(6, 0)
        before = world.scripts.lease(9, 2)
        assert (before.accepted, before.returned) == (9, 2)
        for granted, due in ((6, 0), (9, 2), (0, 1)):
            assert world.scripts.lease(granted, due) == before
        assert take_snapshot(world.scripts).exposure.limit_units == 7

    def test_only_what_no_quote_reserves_is_returned(self, fake: Fake) -> None:
        """What is owed is granted to nobody, and goes back as quotes end."""
        world = partitioned(fake).worlds[0]
        world.scripts.lease(12)
        world.propose("AAA")
        lease = world.scripts.lease(due=12)
        assert (lease.returned, lease.owed, lease.units) == (2, 10, 10)
        assert world.reserved() == (10, 10)
        assert world.propose("AAA", trigger="refresh").outcome == "omitted"
        assert world.scripts.lease().returned == 12
        assert take_snapshot(world.scripts).exposure.limit_units == 0
        assert_sound(world)

    def test_a_quote_shrinks_to_what_is_not_owed(self, two: Partitioned) -> None:
        """A refresh gives back what is owed, and keeps the rest."""
        world = two.worlds[0]
        world.scripts.lease(10)
        world.propose("AAA")
        world.scripts.lease(due=4)
        placed = world.propose("AAA", trigger="refresh")
        assert (placed.bid_lots, placed.ask_lots) == (6, 6)
        assert world.scripts.lease().units == 6

    def test_an_expired_quote_holds_its_units_until_it_is_ended(self, fake: Fake) -> None:
        """The reserved total counts it, so nothing is returned twice."""
        world = partitioned(fake).worlds[0]
        world.scripts.lease(10)
        world.propose("AAA")
        world.propose("CCC", ask_lots=7)
        assert world.scripts.lease().claimed == 20
        fake.advance(world.config.quote_ttl_ms)
        # Nobody claims what has expired: what another symbol waits for does not come on top.
        lease = world.scripts.lease(due=10)
        assert (lease.returned, lease.reserved, lease.claimed) == (0, 10, 10)
        world.scripts.expire()
        assert world.scripts.lease().returned == 10

    @pytest.mark.parametrize("sides", [("bid_lots", "ask_lots"), ("ask_lots", "bid_lots")])
    def test_the_side_that_wants_most(self, two: Partitioned, sides: tuple[str, str]) -> None:
        """One number serves both sides, so the larger one counts."""
        world = two.worlds[0]
        world.scripts.lease(10)
        world.propose("AAA", **dict(zip(sides, (2, 4), strict=True)))
        assert world.scripts.lease() == Lease(10, 0, 0, 4, claimed=4, grain=0)
        world.propose("CCC", **dict(zip(sides, (10, 3), strict=True)))
        assert world.scripts.lease() == Lease(10, 0, 0, 10, claimed=12, grain=1)

    def test_money(self, fake: Fake) -> None:
        """In notional mode a lot of a waiting symbol takes its price."""
        config = small_config(2, 2_000, mode="notional", partitions=2)
        world = Partitioned(fake, config).worlds[0]
        world.propose("AAA")
        lease = world.scripts.lease()
        assert (lease.grain, lease.claimed) == (101, 1_010)

    def test_no_lease_is_above_the_limit_of_all(self, two: Partitioned) -> None:
        """Whatever a partition has accepted, it grants no more than the operator's limit."""
        world = two.worlds[0]
        world.scripts.lease(1_000)
        assert world.propose("AAA", bid_lots=50, ask_lots=50).bid_lots == 20

    @pytest.mark.parametrize("words", [("x", 0), (0, "-1"), (1.5, 0), (MAX_INT + 1, 0)])
    def test_only_numbers(self, two: Partitioned, words: tuple[Any, Any]) -> None:
        """Anything else is refused by its name, and nothing is written."""
        before = two.worlds[0].dump()
        (bad,) = (str(word) for word in words if word != 0)
        with pytest.raises(ResponseError, match=f"NOT_INTEGER {re.escape(bad)}$"):
            two.worlds[0].scripts.lease(*words)
        assert two.worlds[0].dump() == before

    def test_damage(self, two: Partitioned) -> None:
        """Without the lease nothing is quoted, and the missing key is named."""
        world = two.worlds[0]
        world.client.delete(world.keys.named("lease"))
        for call in (world.scripts.lease, lambda: world.propose("AAA")):
            with pytest.raises((ResponseError, ProposalRefused), match="DAMAGED"):
                call()
        assert not audit(world.scripts).ok

    @pytest.mark.parametrize(
        ("name", "field"), [("lease", "due"), ("exposure", "bid_units"), ("config", "limit_units")]
    )
    def test_damage_is_named(self, two: Partitioned, name: str, field: str) -> None:
        """A look at a damaged partition says which key it is."""
        world = two.worlds[0]
        key = world.keys.named(name)
        world.client.hdel(key, field)
        with pytest.raises(ResponseError, match=f"DAMAGED {re.escape(key)} "):
            world.scripts.lease()

    def test_a_system_without_partitions(self, world: Any) -> None:
        """It has no lease and no treasury."""
        with pytest.raises(ResponseError, match="NOT_A_PARTITION"):
            world.scripts.lease()
        with pytest.raises(ResponseError, match="NOT_PARTITIONED"):
            world.scripts.treasury()


class TestTreasury:
    def test_grants_what_is_free(self, backend: Backend) -> None:
        """Never more than the limit in all; what comes back is free again."""
        scripts = partitioned(backend).root.scripts
        first = scripts.treasury([(0, 0, 0, 15)])
        assert (first.limit, first.free, first.granted) == (20, 5, (15, 0))
        second = scripts.treasury([(1, 0, 0, 9)])
        assert (second.free, second.granted) == (0, (15, 5))
        third = scripts.treasury([(0, 4, 15, 0), (1, 0, 5, 3)])
        assert (third.free, third.granted, third.received) == (1, (15, 8), (4, 0))

    def test_what_comes_twice_or_late_changes_nothing(self, two: Partitioned) -> None:
        """A grant names what was granted before; what was received only grows."""
        scripts = two.root.scripts
        scripts.treasury([(0, 0, 0, 8)])
        scripts.treasury([(0, 6, 8, 2)])
        before = scripts.treasury()
        for move in ((0, 0, 0, 8), (0, 6, 8, 2), (0, 5, 9, 1), (0, 0, 11, 1)):
            assert scripts.treasury([move]) == before

    @pytest.mark.parametrize(
        ("move", "why"),
        [
            ((2, 0, 0, 1), "UNKNOWN_PARTITION 2"),
            ((0, 1, 0, 0), "AHEAD 0"),
            (("x", 0, 0, 0), "NOT_INTEGER x"),
            ((0, 0, 0, -1), "NOT_INTEGER -1"),
            ((0, 0, 0), "NOT_INTEGER nothing"),
        ],
    )
    def test_refusals(self, two: Partitioned, move: Any, why: str) -> None:
        """A call that cannot be right is refused as a whole."""
        before = two.root.dump()
        with pytest.raises(ResponseError, match=why):
            two.root.scripts.treasury([(1, 0, 0, 1), move])
        assert two.root.dump() == before

    def test_damage(self, two: Partitioned) -> None:
        """A missing key is named."""
        two.root.client.hdel(two.root.keys.named("treasury"), "received:1")
        with pytest.raises(ResponseError, match=r"DAMAGED.*treasury"):
            two.root.scripts.treasury()
        two.root.client.delete(two.root.keys.named("config"))
        with pytest.raises(ResponseError, match=r"DAMAGED.*config"):
            two.root.scripts.treasury()

    def test_a_lower_limit_grants_nothing_until_enough_is_back(self, two: Partitioned) -> None:
        """What is leased beyond it stays until it is returned."""
        scripts = two.root.scripts
        scripts.treasury([(0, 0, 0, 15)])
        two.root.client.hset(two.root.keys.named("config"), "limit_units", "10")
        assert scripts.treasury([(1, 0, 0, 5)]).free == -5
        assert scripts.treasury([(0, 7, 15, 0), (1, 0, 0, 5)]).granted == (15, 2)


class TestFound:
    def test_again(self, two: Partitioned) -> None:
        """What is there as it must be is left as it is; anything else is refused."""
        scripts, before = two.root.scripts, two.root.dump()
        assert scripts.found(two.config, SYSTEM_ID, two.routes) == "matched"
        with pytest.raises(ConfigDiffers, match="limit_units stored 20 given 21"):
            scripts.found(replace(two.config, limit_units=21), SYSTEM_ID, two.routes)
        with pytest.raises(ConfigDiffers, match="system_id stored"):
            scripts.found(two.config, "0" * 16, two.routes)
        assert two.root.dump() == before
        assert two.root.hash("routes") == {"AAA": "{mm-0}", "BBB": "{mm-1}"} | {
            "CCC": "{mm-0}",
            "DDD": "{mm-1}",
        }

    @pytest.mark.parametrize("name", ["treasury", "routes"])
    def test_foreign_keys(self, two: Partitioned, name: str) -> None:
        """A treasury without its configuration is not begun anew: leases were granted from it."""
        keys = two.root.keys
        for other in {"config", "treasury", "routes"} - {name}:
            two.root.client.delete(keys.named(other))
        with pytest.raises(ForeignKeys, match=name):
            two.root.scripts.found(two.config, SYSTEM_ID, two.routes)

    def test_a_partition_twice(self, two: Partitioned) -> None:
        """A partition that exists is left as it is; another number is another configuration."""
        world = two.worlds[0]
        world.scripts.lease(5)
        assert world.scripts.setup(world.config, SYSTEM_ID, 0) == "matched"
        assert world.scripts.lease().units == 5
        with pytest.raises(ConfigDiffers, match="partition stored 0 given 1"):
            world.scripts.setup(world.config, SYSTEM_ID, 1)


class TestRearrange:
    @staticmethod
    def change(system: Partitioned, version: int = 1, **given: Any) -> int:
        """Change what the partitions have in common."""
        values: dict[str, Any] = {"system_id": SYSTEM_ID, "fields": {}, "routes": {}} | given
        return system.root.scripts.rearrange(
            values["system_id"], version, ANN, "why", values["fields"], values["routes"]
        )

    def test_fields_and_new_symbols(self, two: Partitioned) -> None:
        """They get the next version, and one operation tells of both."""
        version = self.change(two, fields={"limit_units": "9"}, routes={"EEE": "{mm-1}"})
        stored = two.root.hash("config")
        assert (version, stored["config_version"], stored["limit_units"]) == (2, "2", "9")
        assert stored["symbols"] == "AAA BBB CCC DDD EEE"
        assert two.root.hash("routes")["EEE"] == "{mm-1}"
        ((_, entry),) = two.root.stream("operations")
        found = dict(entry)
        assert (found["op"], found["symbol"], found["who"], found["why"]) == (
            *("config", "*", "ann", "why"),
        )
        assert found["before"] == "config_version=1 limit_units=20"
        assert found["after"] == "config_version=2 symbols+=EEE limit_units=9"
        assert two.root.hash("treasury")["over_units"] == "0"

    def test_what_is_leased_beyond_a_lower_limit(self, two: Partitioned) -> None:
        """It is kept, for the audit; a limit that it fits in ends that."""
        two.root.scripts.treasury([(0, 0, 0, 11), (1, 0, 0, 8)])
        two.root.scripts.treasury([(1, 2, 8, 0)])
        self.change(two, fields={"limit_units": "16"})
        assert two.root.hash("treasury")["over_units"] == "17"
        self.change(two, 2, fields={"limit_units": "17"})
        assert two.root.hash("treasury")["over_units"] == "0"

    @pytest.mark.parametrize(
        ("given", "why"),
        [
            ({"system_id": "0" * 16}, "holds system"),
            ({"version": 2}, "to version 1"),
            ({"fields": {"partitions": "3"}}, "partitions: it never changes"),
            ({"fields": {"limit_units": "x"}}, "it must be an integer"),
            ({"routes": {"EEE": "{mm-0}", "BBB": "{mm-0}"}}, "symbol BBB exists"),
        ],
    )
    def test_refusals(self, two: Partitioned, given: dict[str, Any], why: str) -> None:
        """A change that cannot be is refused as a whole."""
        before = two.root.dump()
        with pytest.raises(MMError, match=why):
            self.change(two, **given)
        assert two.root.dump() == before

    @pytest.mark.parametrize("name", ["treasury", "config"])
    def test_damage(self, two: Partitioned, name: str) -> None:
        """The missing key is named."""
        if name == "config":
            two.root.client.hdel(two.root.keys.named("config"), "symbols")
        else:
            two.root.client.delete(two.root.keys.named("treasury"))
        with pytest.raises(ResponseError, match=f"DAMAGED.*{name}"):
            self.change(two)


class TestTogether:
    def test_all_that_is_asked_for(self, backend: Backend) -> None:
        """Rounds bring capacity to where symbols wait; the leases never exceed the limit."""
        system = partitioned(backend, 2, 30)
        for symbol in ("AAA", "BBB", "CCC"):
            system.world_of(symbol).propose(symbol)
            system.round()
            assert sum(system.leased()) <= 30
        system.round()
        for symbol in ("AAA", "BBB", "CCC"):
            placed = system.world_of(symbol).propose(symbol, trigger="capacity")
            assert placed.outcome == "granted"
        for world in system.worlds:
            assert_sound(world)

    def test_nobody_keeps_what_another_lacks(self, fake: Fake) -> None:
        """A partition that has all gives half of it back as its quotes renew (R11)."""
        system = partitioned(fake, 2, 20)
        first, second = system.worlds
        first.scripts.lease(20)
        system.root.scripts.treasury([(0, 0, 0, 20)])
        assert {first.propose(name).outcome for name in ("AAA", "CCC")} == {"granted"}
        second.propose("BBB"), second.propose("DDD")
        for _ in range(3):
            system.round()
        assert system.leased() == [20, 0]
        first.propose("AAA", trigger="refresh")
        first.propose("CCC", trigger="refresh")
        for _ in range(3):
            system.round()
        assert system.leased() == [10, 10]
        for name in ("BBB", "DDD"):
            second.propose(name, trigger="capacity")
        before = system.leased()
        for _ in range(5):
            system.round()
        assert system.leased() == before

    def test_a_partition_that_nobody_hears_keeps_its_lease(self, fake: Fake) -> None:
        """Its units count as used, and nothing is asked of it or granted to it."""
        system = partitioned(fake, 3, 30)
        for symbol in ("AAA", "BBB", "CCC"):
            system.world_of(symbol).propose(symbol)
        for _ in range(2):
            system.round()
        assert system.leased() == [10, 10, 10]
        for _ in range(3):
            found = system.round(lambda number: number != 1)
        assert found.granted[1] - found.received[1] == 10
        assert sum(system.leased()) == 30

    def test_fewer_lots_than_partitions(self, fake: Fake) -> None:
        """Lots go round: each partition is served within a few lives of a quote."""
        config = replace(small_config(6, 2, partitions=3), symbols=symbols(6))
        system = Partitioned(fake, config)
        served: set[int] = set()
        for _ in range(8):
            for symbol in config.symbols[:3]:
                placed = system.world_of(symbol.name).propose(symbol.name, trigger="refresh")
                if placed.bid_lots:
                    served.add(config.symbols.index(symbol))
            for _ in range(3):
                system.round()
                assert sum(system.leased()) <= 2
        assert served == {0, 1, 2}


def symbols(count: int) -> tuple[Any, ...]:
    """Symbols that ask for one lot a side."""
    return tuple(make_symbol(chr(65 + number) * 3, size_lots=1) for number in range(count))
