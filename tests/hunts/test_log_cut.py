"""The log cut anywhere, the short version; ``scripts/log-cut`` runs thousands of cuts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from mm.errors import SystemRefused
from mm.host import ManagedServer
from tests.hunts.log_cut import Unrepaired, check_cut
from tests.kit import SEEDS, SERVERS, binary_or_skip
from tests.kit.crash import assert_audited, assert_same_keys, killable_server, live_keys, tear
from tests.kit.log import Recording, record
from tests.kit.trader import Trader

pytestmark = [pytest.mark.server, pytest.mark.slow]

#: Random offsets, and bytes of the last step, to cut at: a start of Redis is a repair as well.
CUTS = {"valkey": (16, 12), "redis": (5, 5)}


@pytest.fixture(scope="module", params=["valkey", "redis"])
def log(request: pytest.FixtureRequest) -> Iterator[tuple[Path, Recording]]:
    """The recorded log of a busy run, on each server, and the server's binary."""
    found = binary_or_skip(request.param)
    with record(found, SEEDS[0], steps=120) as recording:
        yield found, recording


def test_a_log_cut_anywhere_loses_nothing_that_was_acknowledged(
    log: tuple[Path, Recording],
) -> None:
    """Cut, start, audit, trade on, kill -9, start again: all that was acknowledged is there."""
    server, recording = log
    dice = random.Random(SEEDS[0])
    with killable_server(server) as made:
        anywhere, last = CUTS[made.name]
        offsets = [dice.randrange(recording.start, recording.size + 1) for _ in range(anywhere)]
        offsets += dice.sample(recording.last_steps(1), last)
        for number, cut in enumerate(offsets):
            check_cut(made, recording, cut, SEEDS[0] + number, torn_tail=number % 4 == 0)


def test_every_cut_shows_whole_steps_only(log: tuple[Path, Recording]) -> None:
    """The recording itself tells steps apart: a state compared with that of another step fails."""
    server, recording = log
    changed = [i for i, end in enumerate(recording.ends) if i and end > recording.ends[i - 1]]
    with killable_server(server) as made:
        made.copy_log(recording.path, recording.ends[changed[-8]])
        made.start()
        with pytest.raises(pytest.fail.Exception, match="differ"):
            assert_same_keys(made.world(), "too late a state", recording.states[-1])


def test_without_the_repair_redis_loses_acknowledged_writes() -> None:
    """With the repair left out the same check finds the loss at the second start: it bites."""
    redis_server = binary_or_skip("redis")
    losses = 0
    with record(redis_server, SEEDS[0], steps=60) as recording:
        middles = [end + (recording.size - end) // 2 for end in recording.ends[-12:-1]]
        with killable_server(redis_server, Unrepaired) as made:
            if not made.server.version.startswith("7.0."):
                pytest.skip(f"Redis {made.server.version}: the loss is known of 7.0 only")
            for cut in middles:
                try:
                    check_cut(made, recording, cut, SEEDS[0])
                except (pytest.fail.Exception, AssertionError, SystemRefused):
                    losses += 1
    assert losses > 0


@SERVERS
def test_a_log_torn_after_each_of_three_kills_loses_nothing(server: str) -> None:
    """Every unclean end is repaired, the one after a repaired start too."""
    with killable_server(binary_or_skip(server)) as made:
        made.start()
        Trader(made.world(setup=True), SEEDS[0]).trade(10)
        for start in range(4):
            trader = Trader(made.world(), start, ident=f"s{start}-")
            trader.trade(15)
            acknowledged = live_keys(trader.world)
            made.kill()
            tear(made)
            made.start()
            assert_same_keys(made.world(), f"{server} start {start}", acknowledged)
        trader = Trader(made.world(), 9, ident="z")
        trader.expire()
        assert_audited(trader.world, server)


def test_a_server_killed_while_its_log_is_repaired_is_not_taken_as_clean(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A repair that cannot finish refuses to start, and the next start repairs again."""
    with killable_server(binary_or_skip("redis")) as made:
        made.start()
        trader = Trader(made.world(setup=True), SEEDS[0])
        trader.trade(20)
        acknowledged = live_keys(trader.world)
        made.kill()
        tear(made)
        ready = ManagedServer._await_ready

        def ready_then_dead(server: ManagedServer, url: str) -> Iterator[float]:
            yield from ready(server, url)
            assert server.process is not None
            server.process.kill()
            server.process.wait()

        with monkeypatch.context() as patch:
            patch.setattr(ManagedServer, "_await_ready", ready_then_dead)
            with pytest.raises(SystemRefused, match="could not be rewritten"):
                made.start()
        before = len(made.said)
        made.start()
        assert len(made.said) > before, "the second start did not repair"
        assert_same_keys(made.world(), "after the repair", acknowledged)
        trader = Trader(made.world(), 5, ident="y")
        trader.trade(10)
        acknowledged = live_keys(trader.world)
        made.kill()
        made.start()
        assert_same_keys(made.world(), "after the start that follows", acknowledged)
