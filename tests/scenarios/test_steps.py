"""Steps in any order, twice at once, and with lost replies lead to the same sound state (R19).

With two makers, two exchanges and two state services, any of which may be replaced at any step.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
import redis

from mm.process import Process
from mm.store import Scripts
from tests.kit import (
    MakeWorld,
    World,
    assert_sound,
    effects,
    fake_backend,
    market_keys,
    small_config,
    wait_for,
)

Actions = dict[str, Callable[[], object]]


def converge(world: World, processes: list[Process], max_rounds: int = 20) -> None:
    """Step every process until nothing changes, then check that the system is as it should be."""
    for _ in range(max_rounds):
        before = effects(world)
        for process in processes:
            process.step()
        if effects(world) == before:
            break
    else:
        pytest.fail(f"not at rest after {max_rounds} rounds")
    assert_sound(world)
    for consumer, stream in (("exchange", "orders"), ("state", "fills")):
        entries = world.stream(stream)
        assert world.hash("cursors").get(consumer, "0-0") == (entries[-1][0] if entries else "0-0")
    for name, row in world.scripts.survey(world.names).rows.items():
        assert row.position_version == row.fill_seq
        assert row.waiting or row.quote_position_version == row.position_version, f"{name} stranded"


@pytest.mark.slow
class TestEveryOrder:
    """Steps in every order that a short scenario allows, each from a fresh world."""

    def run(self, order: tuple[str, ...], limit: int) -> tuple[dict[str, int], int, int]:
        """Two makers, two exchanges, two state services; the named actions in this order.

        Returns the positions, the number of fills and the number of reports at rest.
        """
        with fake_backend() as backend:
            world = World(backend, small_config(symbols=3, limit=limit))
            makers = [world.maker("1"), world.maker("2")]
            for maker in makers:
                maker.peers = ["maker-1", "maker-2"]
                maker.step()
            exchanges, states = [world.exchange("1"), world.exchange("2")], [world.state()]
            first = world.order("buy", 4, symbol="AAA", order_id="x")
            actions: Actions = {
                "m1": makers[0].step,
                "m2": makers[1].step,
                "x1": exchanges[0].step,
                "x2": exchanges[1].step,
                "s": states[0].step,
                "again": lambda: world.send(first),
                "late": lambda: world.advance(world.config.quote_ttl_ms),
            }
            world.send(first, world.order("sell", 3, symbol="BBB"))
            for name in order:
                actions[name]()
            converge(world, [*makers, *exchanges, *states])
            positions = {name: world.position(name)["net_lots"] for name in world.names}
            return positions, len(world.fills()), len(world.reports())

    @pytest.mark.parametrize("other", ["x2", "again"])
    def test_with_room(self, other: str) -> None:
        """With exposure for all, the positions are the same whatever the order of the steps."""
        for order in permutations(("x1", "s", "m1", other)):
            found = self.run((*order, "again"), limit=40)
            reports = 4 if other == "again" else 3
            assert found == ({"AAA": -4, "BBB": 3, "CCC": 0}, 2, reports), order

    def test_with_a_limit_that_binds(self) -> None:
        """With too little exposure, and quotes expiring between any two steps, all stays sound."""
        for order in permutations(("x1", "s", "m2", "late")):
            self.run(order, limit=20)


def test_in_parallel(make_world: MakeWorld) -> None:
    """Exchanges and state services of several threads leave one dense ledger, all applied."""
    world = make_world(limit=500, size=400, of_symbol={"position_limit_lots": 1000})
    if world.backend.is_fake:
        pytest.skip("fakeredis runs one command at a time anyway, and not across threads")
    world.maker().step()
    for number in range(200):
        world.send(world.order("buy" if number % 3 else "sell"))
    processes = [world.exchange("1"), world.exchange("2"), world.state("1"), world.state("2")]

    def work(process: Process) -> None:
        wait_for("the fills", lambda: process.step() or world_done())

    def world_done() -> bool:
        client = world.backend.client()
        version = client.hget(world.keys.member("position:*", "AAA"), "position_version")
        client.close()
        return version == b"200"

    threads = [threading.Thread(target=work, args=(process,)) for process in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(world.fills()) == len(world.reports()) == 200
    assert_sound(world)


class LossyScripts(Scripts):
    """Loses the reply of the next script after the server has run it."""

    lose = False

    def call(self, name: str, *args: str | int) -> Any:
        """Run it; raise as a lost connection would. A reader's reply is not lost."""
        reply = super().call(name, *args)
        if name in ("match", "commit"):
            self._lost()
        return reply

    def call_many(self, name: str, calls: Any) -> Any:
        """Run them; raise as a lost connection would."""
        reply = super().call_many(name, calls)
        if calls:
            self._lost()
        return reply

    def _lost(self) -> None:
        if self.lose:
            self.lose = False
            raise redis.exceptions.ConnectionError("the reply was lost")


class TestLostReplies:
    @pytest.mark.parametrize("kind", ["exchange", "state", "maker"])
    def test_lost_after_execution(self, world: World, kind: str) -> None:
        """A step whose reply was lost is done again by a fresh start, with no further effect."""
        world.maker().step()
        world.send(world.order("buy", 4), world.order("sell", 1, symbol="BBB"))
        if kind != "exchange":
            world.scripts.match(10)
        if kind == "maker":
            world.scripts.commit(10)
        process = getattr(world, kind)("1")
        lossy = LossyScripts(world.backend.client(), world.keys, shebang=world.backend.shebang)
        process.attach(lossy)
        process.reconcile_s = 0.0
        lossy.lose = True
        with pytest.raises(redis.exceptions.ConnectionError):
            process.step()
        before = market_keys(world)
        fresh = getattr(world, kind)("1")
        assert fresh.step() is False
        assert market_keys(world) == before, "the fresh start did something again"
        converge(world, [world.exchange(), world.state(), world.maker()])
        assert len(world.fills()) == len(world.reports()) == 2

    def test_each_process_dies_after_each_step(self, world: World) -> None:
        """Processes that are replaced by fresh ones after every single step lose nothing."""
        for number in range(6):
            world.send(world.order("buy" if number % 2 else "sell", 2))
            for make in (world.maker, world.exchange, world.state):
                make().step()
        converge(world, [world.exchange(), world.state(), world.maker()])
        assert len(world.reports()) == 6
        assert world.position()["position_version"] == len(world.fills()) == 6
