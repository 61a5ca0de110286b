"""What stops trading: each cause has its sentence while it lasts, and its end is announced."""

from __future__ import annotations

import pytest

from mm.facts import (
    Stoppage,
    TroubleLog,
    stoppages,
    stoppages_at_rest,
    stoppages_now,
    unreachable,
)
from mm.store import Keys, Scripts, ServerInfo, execute, open_client, take_snapshot
from tests.kit import Fake, World, small_config

GOOD = ServerInfo(
    "valkey",
    "9.1.2",
    {
        "appendonly": "yes",
        "appendfsync": "always",
        "no-appendfsync-on-rewrite": "no",
        "maxmemory-policy": "noeviction",
    },
)
KINDS = ("exchange", "state", "maker")


def beat(world: World, *kinds: str) -> None:
    """A heartbeat of a process of each kind."""
    for kind in kinds:
        getattr(world, kind)().beat()


def words(world: World, server: ServerInfo | None = GOOD, **supervised: int) -> list[str]:
    """The sentences of what stops trading now."""
    names = {name.replace("_", "-"): count for name, count in supervised.items()}
    return [one.words for one in stoppages(take_snapshot(world.scripts), server, names)]


def test_nothing_stops_a_whole_system(fake_world: World) -> None:
    """With every kind live and a good server there is nothing to say."""
    beat(fake_world, *KINDS)
    assert words(fake_world) == []
    assert words(fake_world, None) == []


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("exchange", "no exchange is live: orders wait for their reports"),
        ("state", "no trading state service is live: fills wait, and positions stand still"),
        ("maker", "no maker is live: quotes run out and are not replaced"),
    ],
)
def test_a_missing_kind_is_named(fake_world: World, missing: str, said: str) -> None:
    """A needed kind of which no process is live is named, also when one was live before."""
    beat(fake_world, *(kind for kind in KINDS if kind != missing))
    assert words(fake_world) == [said]
    beat(fake_world, *KINDS)
    assert words(fake_world) == []
    fake_world.advance(2_001)
    beat(fake_world, *(kind for kind in KINDS if kind != missing))
    assert words(fake_world) == [said]


def test_a_system_at_rest_is_one_sentence(fake_world: World) -> None:
    """Without any process there is one sentence; those that `mm up` has just started are named."""
    assert words(fake_world) == ["no exchange, state service or maker is live: nothing trades"]
    found = words(fake_world, exchange_1=0, state_1=0, maker_1=0, maker_2=0)
    assert found[0] == "exchange-1 has not reported yet: orders wait for their reports"
    assert len(found) == 3

    def expected(restarts: int) -> list[bool]:
        names = dict.fromkeys(("exchange-1", "state-1", "maker-1"), restarts)
        return [one.expected for one in stoppages(take_snapshot(fake_world.scripts), GOOD, names)]

    assert expected(restarts=0) == [True] * 3
    assert expected(restarts=1) == [False] * 3


def test_a_server_that_refuses_writes_comes_first(fake_world: World) -> None:
    """Each reason of the server is a sentence, before all others."""
    server = ServerInfo("redis", "7", GOOD.settings, "", {"memory": "its limit", "disk": "its log"})
    first, second, third = words(fake_world, server)
    assert first == "the server refuses writes, so orders wait: its limit"
    assert second.endswith("its log")
    assert "nothing trades" in third


@pytest.mark.parametrize(("cause", "heard"), [("memory", True), ("disk", False)])
def test_nobody_is_missing_who_cannot_be_heard(fake_world: World, cause: str, heard: bool) -> None:
    """Where the server refuses heartbeats too, their absence says nothing of the processes."""
    beat(fake_world, *KINDS)
    fake_world.advance(2_001)
    server = ServerInfo("redis", "7", GOOD.settings, "", {cause: "a reason"})
    for supervised in ({}, {"exchange_1": 0}):
        said = words(fake_world, server, **supervised)
        assert said[0] == "the server refuses writes, so orders wait: a reason"
        assert bool(said[1:]) is heard


@pytest.mark.parametrize(("cause", "named"), [("memory", 2), ("disk", 0)])
def test_nor_who_was_never_heard(fake_world: World, cause: str, named: int) -> None:
    """A maker that could not report yet, and one that a live `mm up` wants, are not missed then."""
    beat(fake_world, "exchange", "state")
    fake_world.beat("up-1", fields={"wants": "exchange-1 exchange-9", "place": "here"})
    server = ServerInfo("redis", "7", GOOD.settings, "", {cause: "a reason"})
    said = words(fake_world, server)
    assert len(said) == 1 + named
    assert any("exchange-9" in one for one in said) is bool(named)
    assert any("no maker is live" in one for one in said) is bool(named)


def test_weak_settings_are_the_reason_of_absence_only(fake_world: World) -> None:
    """Weak settings stop trading when processes refuse them, and not when they accept them."""
    weak = ServerInfo("redis", "7", GOOD.settings | {"appendonly": "no"})
    assert "appendonly no" in words(fake_world, weak)[0]
    beat(fake_world, *KINDS)
    assert words(fake_world, weak) == []


def test_a_halt_is_named_with_its_reason(fake_world: World) -> None:
    """A halted symbol and why."""
    beat(fake_world, *KINDS)
    execute(fake_world.client, "HSET", "{mm}:position:AAA", "halted", "by hand")
    assert words(fake_world) == ["AAA is halted: by hand"]


def test_a_mode_is_said_and_needs_nobody(fake: Fake) -> None:
    """Each mode that an operator has set is a sentence with who, since when and why."""
    world = World(fake, small_config(8))
    beat(world, *KINDS)
    world.control("reducing", why="a rumour")
    for name in world.names:
        world.control("flattening", name, why=f"reason {name}")
    found = stoppages(take_snapshot(world.scripts), GOOD)
    assert all(one.expected for one in found)
    said = [one.words for one in found]
    since = "2023-11-14T22:13:20Z"
    assert said[0] == (
        f"every symbol is quoted only to shrink its position, by ann since {since}: a rumour"
    )
    assert said[1] == f"AAA is halted, by ann since {since}: reason AAA"
    assert said[6:] == ["3 more symbols have a mode"]


def test_many_halts_are_counted(fake: Fake) -> None:
    """The first halts are named and the others counted."""
    world = World(fake, small_config(7))
    beat(world, *KINDS)
    for name in world.names:
        execute(world.client, "HSET", world.keys.member("position:*", name), "halted", "gap")
    found = words(world)
    assert len(found) == 6
    assert found[-1] == "2 more symbols are halted"


def test_a_system_at_rest_has_only_the_trouble_that_stays(fake_world: World) -> None:
    """Of a stopped system no process is missed; a halted symbol stays halted."""
    (stopped,) = stoppages_at_rest(fake_world.scripts)
    assert stopped == Stoppage("stopped", "the system is stopped: `mm up` starts it again", True)
    key = fake_world.keys.member("position:*", "AAA")
    execute(fake_world.client, "HSET", key, "halted", "gap")
    found = stoppages_at_rest(fake_world.scripts)
    assert found == [stopped, Stoppage("halt AAA", "AAA is halted: gap")]


def test_a_symbol_without_exposure_is_named_while_it_has_no_quote(fake_world: World) -> None:
    """A symbol that waits for exposure counts when it has no quote, and as a set limit."""
    beat(fake_world, *KINDS)
    key = fake_world.keys.named("waiting:bid")
    execute(fake_world.client, "ZADD", key, 1, "AAA")
    (found,) = stoppages(take_snapshot(fake_world.scripts), GOOD)
    assert found.words == "no exposure is free, so these have no quote: AAA"
    assert found.expected
    fake_world.propose("AAA", bid=98, ask=101)
    execute(fake_world.client, "ZADD", key, 1, "AAA")
    assert words(fake_world) == []


def test_a_server_that_does_not_answer_is_a_stoppage() -> None:
    """Asked for beside something else, an unreachable server is said and raises nothing."""
    client = open_client("unix:///nowhere/redis.sock")
    (found,) = stoppages_now(Scripts(client, Keys()))
    assert found.words.startswith("no server answers")


class TestLog:
    FULL = Stoppage("memory", "memory is full")

    def test_beginning_and_end(self) -> None:
        """A stoppage is announced once it has lasted, once, and its end with its duration."""
        log = TroubleLog()
        assert log.update(10.0, [self.FULL]) == []
        assert log.update(10.9, [self.FULL]) == []
        assert log.update(11.0, [self.FULL]) == ["TROUBLE: memory is full"]
        assert log.update(12.0, [Stoppage("memory", "other numbers")]) == []
        assert log.update(15.5, []) == ["over after 5.5 s: memory is full"]
        assert log.update(16.0, []) == []

    def test_a_short_one_is_not_announced(self) -> None:
        """What is over within a second makes no line; if it comes again it begins anew."""
        log = TroubleLog()
        assert log.update(0.0, [self.FULL]) == []
        assert log.update(0.5, []) == []
        assert log.update(1.2, [self.FULL]) == []

    def test_an_expected_one_is_not_announced(self) -> None:
        """What needs nobody's help makes no line."""
        log = TroubleLog()
        for second in (0.0, 5.0):
            assert log.update(second, [Stoppage("exposure", "none is free", expected=True)]) == []
        assert log.update(6.0, []) == []

    def test_no_end_while_nobody_knows(self) -> None:
        """While the system cannot be read, what stopped trading before is not said to be over."""
        log = TroubleLog()
        log.update(0.0, [self.FULL])
        log.update(1.0, [self.FULL])
        gone = [unreachable("no server answers")]
        assert log.update(2.0, gone) == []
        assert log.update(3.0, gone) == ["TROUBLE: no server answers"]
        assert log.update(4.0, [self.FULL]) == ["over after 2.0 s: no server answers"]
        assert log.update(6.0, []) == ["over after 6.0 s: memory is full"]


def test_who_could_not_be_heard_has_time_to_come_back(fake: Fake) -> None:
    """After a pause in which no heartbeat came through, not even that of `mm up`, nobody is missed.

    One that stays silent while `mm up` is heard is named, as ever.
    """
    world = World(fake, small_config())
    wants = {"wants": "exchange-1 state-1 maker-1 maker-2", "place": "here"}
    children = {name.replace("-", "_"): 0 for name in wants["wants"].split()}

    def beats(*names: str) -> None:
        world.beat("up-1", fields=wants)
        for name in names:
            world.beat(name)

    beats("exchange-1", "state-1", "maker-1", "maker-2")
    fake.advance(5_000)
    assert words(world, GOOD, **children) == []
    beats("exchange-1")
    assert words(world, GOOD, **children) == []
    assert any("no trading state service is live" in one for one in words(world))
    for _ in range(4):
        fake.advance(500)
        beats("exchange-1", "state-1", "maker-1")
    said = words(world, GOOD, **children)
    assert [one for one in said if "maker-2, which `mm up` runs, has been silent" in one] == said
    assert said


def test_an_archivist_that_is_missing_or_in_trouble(fake: Fake) -> None:
    """It is named, with what follows, and stops no trading; a slow disk and a start are no trouble.

    Of a system that runs without one nothing is said.
    """
    world = World(fake, small_config())
    kinds = ["exchange-1", "state-1", "maker-1"]
    wants = {"wants": " ".join(kinds), "place": "here"}

    def found(*names: str, **fields: str) -> list[Stoppage]:
        world.beat("up-1", fields=wants)
        for name in (*kinds, *names):
            world.beat(name, fields=fields if name == "archivist-1" else {})
        return stoppages(take_snapshot(world.scripts), GOOD)

    assert found() == []
    wants["wants"] += " archivist-1"
    assert all(one.expected for one in found()), "it has just been started"
    assert found("archivist-1", trouble="-") == []
    (one,) = found("archivist-1", trouble="/d/archive.db: the archive is missing")
    assert one.trades_on and not one.expected
    assert one.words == (
        "archivist-1: /d/archive.db: the archive is missing; fills stay in the server's memory"
    )
    found("archivist-1", trouble="-")
    for _ in range(9):
        fake.advance(1_000)
        assert found() == [], "it may wait for its disk"
    fake.advance(2_000)
    found()
    (one,) = found()
    assert one.trades_on and not one.expected
    assert one.words == (
        "archivist-1, which `mm up` runs, has been silent for 11 s: fills stay in the server's"
        " memory"
    )
