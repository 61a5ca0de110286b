"""repair.lua: what a halted symbol's keys must hold, from its ledger, and the end of its halt."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from mm.errors import ProposalRefused, SystemRefused
from mm.repair import check_repaired, examine, repair
from mm.store import REPAIRED_FIELDS, Operator, execute
from tests.kit import (
    SYSTEM_ID,
    Fake,
    MakeWorld,
    World,
    assert_only_for_its_system,
    assert_sound,
    small_config,
)

ANN = Operator("ann")


def traded(world: World) -> None:
    """Three fills of AAA and one of BBB, all committed."""
    for name in ("AAA", "BBB"):
        world.propose(name)
    world.trade(world.order("sell", 4), world.order("buy", 1), world.order("buy", 2))
    world.trade(world.order("buy", 1, symbol="BBB"))
    world.drain()


def damage(world: World, **fields: int | str | None) -> None:
    """A foreign program changes fields of AAA; None deletes one."""
    for name, value in fields.items():
        family = "symbol:*" if name == "fill_seq" else "position:*"
        key = world.keys.member(family, "AAA")
        if value is None:
            world.client.hdel(key, name)
        else:
            world.client.hset(key, name, str(value))


def resume(world: World, *symbols: str) -> None:
    """Let repaired symbols trade."""
    check_repaired(world.scripts, symbols)
    world.scripts.control(SYSTEM_ID, "active", ANN, "mended", symbols, after_repair=True)


@pytest.fixture
def frozen(fake: Fake) -> World:
    """Two symbols with fills, the clock in the test's hand."""
    world = World(fake, small_config(2, limit=100))
    traded(world)
    return world


def test_a_damaged_position_comes_back(make_world: MakeWorld) -> None:
    """The position halts its symbol at the next fill; replayed it has that fill too, and trades."""
    world = make_world(limit=100)
    traded(world)
    right = world.position()
    damage(world, position_version=1, net_lots=77, cash_ticks=5)
    world.trade(world.order("buy", 1))
    world.drain()
    assert world.hash("position:*", "AAA")["halted"] == "sequence: expected 2 got 4"
    world.advance(5)
    finding = examine(world.scripts, "AAA")
    assert finding.fills == 4
    assert finding.differing["net_lots"] == ("77", str(right["net_lots"] - 1))
    assert finding.differing["position_version"] == ("1", "4")
    with pytest.raises(SystemRefused, match="AAA does not resume, since the audit finds"):
        resume(world, "AAA")
    assert repair(world.scripts, finding, ANN, "a foreign hand")
    position = world.position()
    assert (position["net_lots"], position["position_version"]) == (right["net_lots"] - 1, 4)
    found = dict(world.stream("operations")[-1][1])
    assert (found["op"], found["symbol"]) == ("repair", "AAA")
    assert (found["who"], found["role"]) == ("ann", "operator")
    assert found["ts_ms"] == str(position["updated_ms"])
    assert "position_version=1" in found["before"] and "position_version=4" in found["after"]
    assert found["why"] == "a foreign hand"
    update = world.records("positions")[-1]
    assert update[0] == "AAA"
    assert update[1].split()[2] == "4"
    assert examine(world.scripts, "AAA").differing == {}
    with pytest.raises(ProposalRefused, match="sequence"):
        world.propose("AAA")
    resume(world, "AAA")
    assert "halted" not in world.hash("position:*", "AAA")
    found = dict(world.stream("operations")[-1][1])
    assert (found["op"], found["before"]) == ("end_halt", "sequence: expected 2 got 4")
    world.propose("AAA", trigger="expired")
    world.trade(world.order("buy", 1))
    world.drain()
    assert world.position()["position_version"] == 5
    assert_sound(world)


# Without fill_seq the scripts take the symbol for an unknown one.
@pytest.mark.parametrize(
    ("name", "how"),
    [
        *((name, "changed") for name in REPAIRED_FIELDS),
        *((name, "missing") for name in REPAIRED_FIELDS if name != "fill_seq"),
    ],
)
def test_each_field(frozen: World, name: str, how: str) -> None:
    """Whatever field is wrong or missing, it is named, put right, and the audit is clean."""
    frozen.control("halted", "AAA")
    before = frozen.position(), frozen.hash("symbol:*", "AAA")
    damage(frozen, **{name: None if how == "missing" else 9})
    finding = examine(frozen.scripts, "AAA")
    assert list(finding.differing) == [name]
    assert repair(frozen.scripts, finding, ANN, "why")
    after = frozen.position() | {"updated_ms": before[0]["updated_ms"]}
    assert (after, frozen.hash("symbol:*", "AAA")) == before
    frozen.control("active", "AAA")
    frozen.propose("AAA", trigger="expired")
    assert_sound(frozen)


def test_nothing_differs(frozen: World) -> None:
    """A sound symbol is left as it is, without a word on the streams."""
    frozen.control("halted", "AAA")
    finding = examine(frozen.scripts, "AAA")
    before = frozen.dump()
    assert not finding.differing
    assert not repair(frozen.scripts, finding, ANN, "why")
    assert frozen.dump() == before


def test_a_symbol_that_trades_is_refused(frozen: World) -> None:
    """By the look at it, and by the script if it resumed meanwhile; a halt of all will do."""
    with pytest.raises(SystemRefused, match="halt it first"):
        examine(frozen.scripts, "AAA")
    frozen.control("halted")
    damage(frozen, net_lots=9)
    finding = examine(frozen.scripts, "AAA")
    frozen.control("reducing")
    before = frozen.dump()
    with pytest.raises(SystemRefused, match="AAA trades, so it is not repaired"):
        repair(frozen.scripts, finding, ANN, "why")
    assert frozen.dump() == before
    frozen.control("halted")
    assert repair(frozen.scripts, finding, ANN, "why")


def test_what_changed_meanwhile_is_left(frozen: World) -> None:
    """Another repair, or another fault, came between the look and the script."""
    frozen.control("halted", "AAA")
    damage(frozen, net_lots=9)
    finding = examine(frozen.scripts, "AAA")
    damage(frozen, cash_ticks=1)
    before = frozen.dump()
    with pytest.raises(SystemRefused, match="cash_ticks is 1 and was"):
        repair(frozen.scripts, finding, ANN, "why")
    assert frozen.dump() == before


def test_fills_that_wait(frozen: World) -> None:
    """A fill that the state service has not passed would be applied twice: it must run first."""
    frozen.propose("AAA", trigger="position")
    frozen.trade(frozen.order("buy", 1))
    frozen.control("halted", "AAA")
    with pytest.raises(SystemRefused, match="its fill AAA-4 waits for the trading state service"):
        examine(frozen.scripts, "AAA")
    frozen.drain()
    assert examine(frozen.scripts, "AAA").differing == {}


def gap(world: World) -> None:
    """The first fill entry, with three fills of AAA, is deleted."""
    key = world.keys.named("fills")
    execute(world.client, "XDEL", key, world.stream("fills")[0][0])


def foreign_number(world: World) -> None:
    """A record of a foreign program has a number that is not due."""
    execute(world.client, "XADD", world.keys.named("fills"), "*", "AAA-9", "buy 1 101 c o AAA-1 1")


def rubbish(world: World) -> None:
    """A record under the due number is no fill."""
    execute(world.client, "XADD", world.keys.named("fills"), "*", "AAA-4", "a b")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (gap, "the ledger of AAA is damaged"),
        (foreign_number, "AAA-9 stands where AAA-4 must be"),
        (rubbish, "AAA-4 in entry .* is no fill"),
    ],
)
def test_a_damaged_ledger_is_beyond_repair(
    frozen: World, spoil: Callable[[World], None], words: str
) -> None:
    """Nothing is rebuilt from it; another symbol can be."""
    spoil(frozen)
    if spoil is gap:
        execute(
            frozen.client, "XADD", frozen.keys.named("fills"), "*", "AAA-4", "buy 1 101 c o Q-1 1"
        )
    frozen.drain()
    frozen.control("halted")
    with pytest.raises(SystemRefused, match=words):
        examine(frozen.scripts, "AAA")
    assert examine(frozen.scripts, "BBB").fills == 1


class TestResume:
    def test_a_halt_ends_only_when_all_is_committed(self, frozen: World) -> None:
        """The script itself refuses a symbol with fills that are not in its position."""
        damage(frozen, halted="a gap", position_version=2)
        before = frozen.dump()
        with pytest.raises(SystemRefused, match="AAA has fills that are not in its position"):
            frozen.scripts.control(SYSTEM_ID, "active", ANN, "w", ["AAA"], after_repair=True)
        assert frozen.dump() == before

    def test_only_after_a_repair(self, frozen: World) -> None:
        """Without the word for it a halt after an integrity error stays."""
        damage(frozen, halted="a gap")
        frozen.control("active", "AAA")
        assert frozen.hash("position:*", "AAA")["halted"] == "a gap"
        (change,) = frozen.scripts.control(
            SYSTEM_ID, "active", ANN, "w", ["AAA"], after_repair=True
        ).changes
        assert (change.halted, change.ended) == ("", "a gap")
        assert "halted" not in frozen.hash("position:*", "AAA")

    def test_a_wrong_symbol_does_not_keep_another_one(self, frozen: World) -> None:
        """The audit is asked about the symbols that are to resume."""
        damage(frozen, halted="a gap", net_lots=9)
        check_repaired(frozen.scripts, ["BBB", "AA", "A", "AAA.B"])
        with pytest.raises(SystemRefused, match="AAA does not resume"):
            check_repaired(frozen.scripts, ["BBB", "AAA"])

    def test_more_violations_than_are_listed(self, frozen: World) -> None:
        """Then nobody knows whether the symbol is among them, and it does not resume."""
        for number in range(100):
            execute(frozen.client, "XADD", frozen.keys.named("quotes"), "*", "event", str(number))
        with pytest.raises(SystemRefused, match=r"BBB: not resumed.* one-quote violated \d+ times"):
            check_repaired(frozen.scripts, ["BBB"])


class TestRefusals:
    @pytest.mark.parametrize("gone", [False, True])
    def test_foreign_system(self, frozen: World, gone: bool) -> None:
        """Where its system is gone, or another has its place, nothing is changed."""
        frozen.control("halted", "AAA")
        damage(frozen, net_lots=9)
        finding = examine(frozen.scripts, "AAA")
        assert_only_for_its_system(
            frozen, gone, lambda: repair(frozen.scripts, finding, ANN, "why")
        )

    def test_unknown_symbol(self, frozen: World) -> None:
        """It is named; the script refuses it too."""
        with pytest.raises(SystemRefused, match="symbol ZZZ: it must be a configured one"):
            examine(frozen.scripts, "ZZZ")
        words = [""] * len(REPAIRED_FIELDS)
        with pytest.raises(Exception, match="symbol 'ZZZ': it must be a configured one"):
            frozen.scripts.repair(SYSTEM_ID, "ZZZ", ANN, "why", words, words)

    def test_damaged(self, frozen: World) -> None:
        """Without its bounds the configuration is damaged: nothing is written."""
        frozen.control("halted", "AAA")
        damage(frozen, net_lots=9)
        finding = examine(frozen.scripts, "AAA")
        frozen.client.hdel(frozen.keys.named("config"), "keep_updates")
        before = frozen.dump()
        with pytest.raises(redis.ResponseError, match="DAMAGED"):
            repair(frozen.scripts, finding, ANN, "why")
        assert frozen.dump() == before
