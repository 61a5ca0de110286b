"""The systems that sections measure: what they wait for before they are audited."""

from __future__ import annotations

import threading
import time

import pytest

from mm.host import Supervisor
from mm.lab.bench.drive import CLIENTS
from mm.lab.bench.figure import Result
from mm.lab.bench.load import Orders, preload
from mm.lab.bench.measured import Measured
from mm.lab.bench.sections.hold import Hold, figures
from mm.lab.bench.spread import SpreadWorld
from mm.lab.bench.world import World, bench_config

#: Longer than an orderly stop takes, so that the fill waits when the end does not wait for it.
PAUSE_S = 1.0


@pytest.mark.server
class TestTheEndWaitsForTheLastCommit:
    """A report comes before its commit: a section that has its last report may end at once."""

    def test_one_server(self) -> None:
        """Its fill is committed while the end waits."""
        result = Result()
        with World(result, "one", bench_config(2, 1_000)) as world:
            world.start_processes()
            fill_without_state(world, world.supervisor)
            commit = threading.Timer(PAUSE_S, world.commit_all)
            commit.start()
        commit.join()
        assert (result.problems, result.audits) == ([], 1)

    def test_nodes(self) -> None:
        """The end brings back the state service that died."""
        result = Result()
        with SpreadWorld(result, "spread", bench_config(2, 1_000), None) as nodes:
            fill_without_state(nodes.parts[0], nodes.supervisor)
        assert (result.problems, result.audits) == ([], 1)


@pytest.mark.server
def test_the_shortest_sustained_run_has_figures() -> None:
    """A machine too slow for its samples gets them after the time is over."""
    result = Result()
    with World(result, "hold", bench_config(2, 1_000)) as world:
        world.start_processes()
        hold = Hold(world, 100.0, 1)
        hold.run(0.0)
        hold.finish()
    assert result.problems == []
    assert "longest lag of the exchange" in {one.name for one in figures(hold.series, hold.rate)}


def fill_without_state(part: Measured, supervisor: Supervisor) -> None:
    """Kill the state service, and return when an order has its report."""
    state = supervisor.children["state-1"].process
    assert state is not None
    state.kill()
    state.wait(10)
    (entry,) = Orders(part.config.symbols, CLIENTS[0], "r", 1).entries(1, part.orders_key)
    preload(part.socket, [entry])
    reports = part.keys.member("reports:*", CLIENTS[0])
    deadline = time.monotonic() + 10
    while part.end_of(reports) == "0-0" and time.monotonic() < deadline:
        time.sleep(0.002)
    assert not part.drained()
