"""A system of several partitions under one limit: read, traded, changed and audited as one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import redis

from mm.audit import audit
from mm.balancer import Balancer
from mm.drain import is_drained
from mm.errors import ConfigDiffers, ForeignSystem, SystemRefused, Unavailable
from mm.explain import explain
from mm.facts import stoppages
from mm.market import Config
from mm.orders import PartitionClient
from mm.store import (
    Operator,
    Scripts,
    apply_config,
    create_system,
    join_system,
    require_config,
    set_modes,
    take_snapshot,
)
from tests.kit import SYSTEM_ID, Backend, Fake, World, make_symbol, short_directory, small_config
from tests.kit.commands import run_mm
from tests.kit.partitioned import Partitioned, lose

ANN = Operator("ann")


def small(count: int = 2, limit: int = 30, **changes: object) -> Config:
    """Two symbols for each partition."""
    return small_config(2 * count, limit, partitions=count, **changes)  # type: ignore[arg-type]  # fields of Config


class Market(Partitioned):
    """Partitions with their processes, stepped by hand, and a balancer."""

    def __init__(self, backend: Backend, config: Config) -> None:
        super().__init__(backend, config)
        self.balancer = self.new_balancer()
        self.processes = [
            process
            for world in self.worlds
            for process in (world.exchange(), world.state(), world.maker())
        ]

    def new_balancer(self, ident: str = "1") -> Balancer:
        """A balancer, attached."""
        root = self.root
        balancer = Balancer(root.backend.client, root.keys, ident, durability="relaxed")
        balancer.attach(root.make_scripts())
        return balancer

    def turn(self, times: int = 3) -> None:
        """Let every process step so often."""
        for _ in range(times):
            for process in self.processes:
                process.step()
            self.balancer.step()
            assert sum(world.scripts.lease().units for world in self.worlds) <= self.limit

    @property
    def limit(self) -> int:
        """The limit that counts now: a lowered one takes effect as units come back."""
        over = int(self.root.hash("treasury").get("over_units", "0"))
        return max(int(self.root.hash("config")["limit_units"]), over)

    def trade(self, side: str, lots: int, symbol: str) -> None:
        """Send an order to the partition of its symbol."""
        world = self.world_of(symbol)
        world.send(world.order(side, lots, symbol=symbol))  # type: ignore[arg-type]  # buy or sell


@pytest.fixture
def market(fake: Fake) -> Market:
    """Two partitions of two symbols each under a limit of 30 lots, quoted."""
    found = Market(fake, small())
    found.turn()
    return found


def sound(market: Market) -> None:
    """The audit of the whole finds nothing."""
    result = audit(market.root.scripts)
    assert result.ok, [check.violations for check in result.checks if not check.ok]


def test_a_system_of_partitions(backend: Backend) -> None:
    """It quotes within one limit, trades, and is one system on every screen."""
    market = Market(backend, small())
    market.turn()
    found = take_snapshot(market.root.scripts)
    assert list(found.symbols) == ["AAA", "BBB", "CCC", "DDD"]
    assert (found.exposure.limit_units, found.exposure.bid_units) == (30, 30)
    for symbol, side, lots in (("AAA", "buy", 2), ("BBB", "sell", 1), ("DDD", "buy", 3)):
        market.trade(side, lots, symbol)
    assert not is_drained(take_snapshot(market.root.scripts))
    market.turn()
    found = take_snapshot(market.root.scripts, recent=10)
    assert is_drained(found)
    nets = {name: state.position.net_lots for name, state in found.symbols.items()}
    assert nets == {"AAA": -2, "BBB": 1, "CCC": 0, "DDD": -3}
    assert found.cursors.exchange_records == found.cursors.state_records == 3
    assert {fill.symbol for fill in found.fills} == {"AAA", "BBB", "DDD"}
    assert len(found.parts) == 2
    story = explain(market.root.scripts, "DDD")
    assert any(step.kind == "fill" for step in story.steps)
    sound(market)


def test_capacity_goes_to_where_symbols_wait(market: Market) -> None:
    """When one partition is halted, the other gets what it held."""
    before = market.leased()
    done = set_modes(market.root.scripts, SYSTEM_ID, "halted", ANN, "why", ["AAA", "CCC"])
    assert {change.symbol for change in done.changes} == {"AAA", "CCC"}
    market.turn(5)
    after = market.leased()
    assert after[1] >= 20 > before[1]
    assert take_snapshot(market.root.scripts).exposure.bid_units == 20
    sound(market)


def test_modes_of_all(market: Market) -> None:
    """A halt of all reaches every partition; one that it has not reached is seen."""
    done = set_modes(market.root.scripts, SYSTEM_ID, "halted", ANN, "why", [])
    assert [change.symbol for change in done.changes] == ["*"]
    found = take_snapshot(market.root.scripts)
    assert found.control.mode == "halted"
    assert found.exposure.bid_units == 0
    market.worlds[1].scripts.control(SYSTEM_ID, "active", ANN, "why", [])
    found = take_snapshot(market.root.scripts)
    assert found.control.mode == "active"
    assert [found.mode_of(name) for name in found.symbols] == [
        *("halted", "active", "halted", "active"),
    ]


def test_the_configuration_changes_everywhere(market: Market) -> None:
    """Limits, symbols old and new: every partition and the treasury follow."""
    scripts = market.root.scripts
    given = replace(require_config(scripts), limit_units=40)
    assert apply_config(scripts, SYSTEM_ID, ANN, "why", given).version == 2
    market.turn(6)
    assert take_snapshot(scripts).exposure.bid_units == 40
    added = replace(given, symbols=(*given.symbols[:3], make_symbol("EEE")))
    apply_config(scripts, SYSTEM_ID, ANN, "why", added)
    found = take_snapshot(scripts)
    assert list(found.symbols) == ["AAA", "BBB", "CCC", "DDD", "EEE"]
    assert found.symbols["DDD"].closed
    assert market.root.hash("routes")["EEE"] in {"{mm-0}", "{mm-1}"}
    assert require_config(scripts) == take_snapshot(scripts).config
    sound(market)


def test_a_lower_limit_comes_back_as_quotes_end(market: Market) -> None:
    """What is leased beyond it stays until it is returned, and nothing is granted meanwhile."""
    scripts = market.root.scripts
    given = replace(require_config(scripts), limit_units=12)
    apply_config(scripts, SYSTEM_ID, ANN, "why", given)
    sound(market)
    assert sum(market.leased()) == 30
    market.turn()
    market.root.backend.advance(market.config.quote_ttl_ms)
    market.turn(6)
    assert sum(market.leased()) <= 12
    assert 0 < take_snapshot(scripts).exposure.bid_units <= 12
    sound(market)


def test_an_apply_that_was_broken_off_is_done_again(market: Market) -> None:
    """A partition that has the change already is left as it is."""
    scripts = market.root.scripts
    stored = require_config(scripts)
    given = replace(stored, limit_units=24, refresh_ms=4_000)
    one = market.worlds[0]
    part = replace(given, symbols=one.config.symbols)
    apply_config(one.scripts, SYSTEM_ID, ANN, "why", part)
    result = audit(scripts)
    assert not result.ok and "limit_units" in str(result.checks)
    apply_config(scripts, SYSTEM_ID, ANN, "why", given)
    assert require_config(one.scripts).version == 2
    assert (require_config(scripts).limit_units, require_config(scripts).refresh_ms) == (24, 4_000)
    market.turn()
    sound(market)


def test_a_halt_reaches_whom_it_can(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """A partition that is away does not keep the others from being halted, and is named."""
    scripts = market.root.scripts
    with monkeypatch.context() as context:
        lose(context, "{mm-0}", "control")
        done = set_modes(scripts, SYSTEM_ID, "halted", ANN, "why", [])
        assert [change.after for change in done.changes] == ["halted"]
        (missed,) = done.missed
        assert missed.startswith("{mm-0} was not reached: ")
    found = take_snapshot(scripts)
    assert [found.mode_of(name) for name in found.symbols] == [
        *("active", "halted", "active", "halted"),
    ]
    done = set_modes(scripts, SYSTEM_ID, "halted", ANN, "why", [])
    assert done.missed == ()
    found = take_snapshot(scripts)
    assert {found.mode_of(name) for name in found.symbols} == {"halted"}


def test_a_configuration_that_does_not_get_through(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What all have in common changes last; a new symbol needs all partitions."""
    scripts = market.root.scripts
    given = replace(require_config(scripts), limit_units=40)
    with monkeypatch.context() as context:
        lose(context, "{mm-0}", "configure")
        done = apply_config(scripts, SYSTEM_ID, ANN, "why", given)
        assert (done.version, len(done.missed)) == (1, 1)
        assert require_config(scripts).limit_units == 30
        assert require_config(market.worlds[1].scripts).limit_units == 40
    assert apply_config(scripts, SYSTEM_ID, ANN, "why", given).missed == ()
    assert require_config(scripts).limit_units == 40
    larger = replace(given, symbols=(*given.symbols, make_symbol("EEE")))
    real = require_config

    def losing(one: Scripts) -> Config:
        if one.keys.prefix == "{mm-1}":
            raise redis.exceptions.ConnectionError("gone")
        return real(one)

    with monkeypatch.context() as context:
        context.setattr("mm.store.everywhere.require_config", losing)
        with pytest.raises(Unavailable, match=r"a new symbol needs all partitions, and \{mm-1\}"):
            apply_config(scripts, SYSTEM_ID, ANN, "why", larger)
    assert "EEE" not in market.root.hash("routes")


def test_balancers_come_and_go(market: Market) -> None:
    """Two at once, one that dies between its calls: the limit holds, and nothing is lost."""
    other = market.new_balancer("2")
    for symbol in ("AAA", "BBB", "CCC", "DDD"):
        market.trade("buy", 4, symbol)
        other.step()
        market.turn(1)
        market.balancer = market.new_balancer()
    market.turn(4)
    sound(market)
    treasury = market.root.scripts.treasury()
    assert treasury.free + sum(market.leased()) == 30


@pytest.mark.parametrize(
    ("key", "field", "value", "words"),
    [
        ("treasury", "granted:0", 99, "units are granted and not back"),
        ("treasury", "granted:0", 1, "has accepted"),
        ("treasury", "received:1", 9, "has returned"),
        ("treasury", "granted:1", "x", "granted:1"),
        ("routes", "AAA", "{mm-1}", "it must lead each symbol"),
        ("config", "refresh_ms", 7, "refresh_ms"),
    ],
)
def test_what_the_audit_of_the_whole_finds(
    market: Market, key: str, field: str, value: object, words: str
) -> None:
    """Each break of what the partitions share is a violation, and no traceback."""
    market.root.client.hset(market.root.keys.named(key), field, str(value))
    (broken,) = [check for check in audit(market.root.scripts).checks if not check.ok]
    assert broken.name == "exposure-bounded"
    assert words in "\n".join(broken.violations)


def test_a_break_in_one_partition(market: Market) -> None:
    """It is named by the partition's key prefix."""
    world = market.worlds[1]
    world.client.hset(world.keys.named("exposure"), "bid_units", "99")
    broken = [check for check in audit(market.root.scripts).checks if not check.ok]
    assert {check.name for check in broken} == {"exposure-bounded", "exposure-exact"}
    assert all("{mm-1}" in check.violations[0] for check in broken)


class TestMaking:
    def test_created_and_joined(self, backend: Backend) -> None:
        """All partitions and what they have in common are one system, made once."""
        scripts = World(backend, small(), setup=False).scripts
        made = create_system(scripts, small(3), durability="relaxed")
        assert made.how == "created"
        joined = join_system(scripts, durability="relaxed", system_id=made.identity.system_id)
        assert joined.how == "joined"
        assert create_system(scripts, durability="relaxed").identity == made.identity
        assert require_config(scripts) == small(3)
        with pytest.raises(ConfigDiffers, match="partitions stored 3 given 1"):
            create_system(scripts, replace(small(3), partitions=1), durability="relaxed")

    def test_after_a_crash_in_between(self, fake: Fake) -> None:
        """What was made is kept, and the rest is made under the same identity."""
        whole = Partitioned(fake, small())
        root = whole.root
        for name in ("config", "treasury", "routes"):
            root.client.delete(root.keys.named(name))
        made = create_system(root.scripts, small(), durability="relaxed")
        assert (made.how, made.identity.system_id) == ("created", SYSTEM_ID)

    def test_a_lost_partition_is_not_made_again(self, fake: Fake) -> None:
        """Its ledger is gone: nobody joins, and nothing is set up anew (R21)."""
        whole = Partitioned(fake, small())
        for key in fake.client().scan_iter("{mm-1}*"):
            fake.client().delete(key)
        with pytest.raises((ForeignSystem, SystemRefused), match=r"\{mm-1\}"):
            create_system(whole.root.scripts, durability="relaxed")
        assert not list(fake.client().scan_iter("{mm-1}*"))

    @pytest.mark.server
    @pytest.mark.slow
    def test_more_partitions_than_symbols(self) -> None:
        """Each has one symbol at least."""
        with short_directory() as place:
            words = ("--headless", "--partitions", "9", "--duration", "1")
            done = run_mm("up", *words, data_dir=place)
        assert (done.returncode, "there are 8 symbols" in done.stderr) == (2, True), done.stderr


def test_nothing_to_balance(world: World) -> None:
    """A balancer of a system without partitions says so, and ends."""
    balancer = Balancer(world.backend.client, world.keys, durability="relaxed")
    with pytest.raises(SystemRefused, match="has no partitions"):
        balancer.attach(world.make_scripts())


def test_the_keys_of_no_partition(market: Market) -> None:
    """An order client does not take the keys of the whole for those of a partition."""
    root = market.root
    with pytest.raises(SystemRefused, match=r"has partitions.*such as \{mm-0\}"):
        PartitionClient(root.backend.client(), root.keys, "c1").send([root.order("buy", 1)])
    assert not root.stream("orders")


def test_a_partition_without_an_exchange(market: Market) -> None:
    """It is said, although the other partition has one."""
    for world in market.worlds:
        for kind in ("exchange", "state", "maker"):
            world.beat(f"{kind}-1")
    market.root.beat("balancer-1")
    assert stoppages(take_snapshot(market.root.scripts)) == []
    market.worlds[1].farewell("exchange-1")
    (found,) = stoppages(take_snapshot(market.root.scripts))
    assert "no exchange is live in partition 1" in found.words
    market.root.farewell("balancer-1")
    words = [one.words for one in stoppages(take_snapshot(market.root.scripts))]
    assert any("no balancer is live" in one for one in words)
