"""Each value that an alert or a panel asks for is served: by a system that has all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from mm.metrics import Exporter
from mm.metrics.counts import OTHER
from tests.kit import Real, World, small_config, wait_for
from tests.kit.scraped import Served
from tests.metrics.rules import QUERIES

pytestmark = pytest.mark.server


def asked() -> Iterator[tuple[str, str, str, str]]:
    """Where a value stands, the metric and the label that it is of, and the value."""
    for where, expression, _ in QUERIES:
        for name, matchers in re.findall(r"\b(mm_\w+)\{([^}]*)\}", expression):
            for label, words in re.findall(r"(\w+)(?:=~|!=|=)\"([^\"]*)\"", matchers):
                if words != "$instance":
                    yield from ((where, name, label, value) for value in words.split("|"))


ASKED = list(asked())
#: What reads the streams, and may lag.
CONSUMERS = ("exchange", "state")


@pytest.fixture
def served(real_backend: Real) -> Served:
    """The answer of a system with a symbol in each state, whose server was started anew."""
    limits = {"protection_lots": 5, "position_limit_lots": 1_000}
    world = World(real_backend, small_config(6, limit=1_000, of_symbol=limits))
    scripts = world.make_scripts()
    found = Exporter(lambda: scripts)
    found.sample()
    for name in world.names:
        world.propose(name)
    world.client.xadd(world.keys.named("fills"), {"AAA-7": "buy 1 100 c1 o1 AAA-1 1 100"})
    world.trade(world.order("buy", 8, symbol="BBB"), world.order("buy", 3, symbol="DDD"))
    world.scripts.commit(10)
    for mode, name in (("reducing", "CCC"), ("flattening", "DDD"), ("halted", "EEE")):
        world.control(mode, name)
    world.beat("state-1", server_run="another")
    world.trade(world.order("buy", 1, symbol="FFF"))
    world.send(world.order("buy", 1, symbol="FFF"))
    found.sample()

    def waited() -> Served | None:
        answer = Served(found.text())
        lags = [answer("mm_lag_seconds", partition="0", consumer=one) for one in CONSUMERS]
        return answer if all(lags) else None

    return wait_for("a lag of both", waited) or Served(b"")


def test_there_are_values() -> None:
    """The values are found in the expressions, those of the gravest alerts among them."""
    values = {(name, label, value) for _, name, label, value in ASKED}
    assert {
        ("mm_symbol_stopped", "why", "protection"),
        ("mm_lag_seconds", "consumer", "state"),
        ("mm_lifecycle_events_total", "event", "server_started"),
        ("mm_stoppages", "expected", "false"),
    } <= values


def test_values_of_labels_are_served(served: Served) -> None:
    """Each value that an expression asks for is one that a series of its metric has."""
    for where, name, label, value in ASKED:
        assert value in served.of(name, label), f"{where}: {name}{{{label}={value!r}}}"


def test_what_alerts_hang_on(served: Served) -> None:
    """Each state is seen where its alert looks for it, and nowhere else."""
    stopped = served.series["mm_symbol_stopped"]
    whys = {(dict(labels)["symbol"], dict(labels)["why"]) for labels in stopped}
    assert whys == {
        ("AAA", "integrity_error"),
        ("BBB", "protection"),
        ("CCC", "reducing"),
        ("DDD", "flattening"),
        ("EEE", "halted"),
    }
    assert set(stopped.values()) == {1}
    assert served("mm_lifecycle_events_total", event="server_started") == 1
    assert served("mm_lifecycle_events_total", event=OTHER) is None
    assert (served("mm_stoppages", expected="false") or 0) >= 1
    assert served("mm_dead_letters_total", source="fills", reason="integrity_error") == 1
