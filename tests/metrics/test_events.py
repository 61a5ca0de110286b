"""Dead letters and lifecycle events: counted from 0 on, once each, and none is missed."""

from __future__ import annotations

import itertools
import re

import pytest

from mm.explain.short import LIVES
from mm.market import REJECTED
from mm.metrics.counts import Counts
from mm.metrics.events import Events
from mm.metrics.tail import TailReader
from mm.store import LIFECYCLE, execute, text
from mm.store.lua import script_text
from tests.kit import Fake, World, small_config

#: For each reason of a rejected order one line, whose order has the id "o1".
REJECTED_LINES = {
    "order_id_conflict": "c1 AAA buy 2 1",
    "unknown_symbol": "c2 ZZZ buy 1 1",
    "malformed": "what is this",
    "bad_client_id": "c/1 AAA buy 1 1",
    "bad_symbol": "c3 aaa buy 1 1",
    "bad_side": "c4 AAA hold 1 1",
    "quantity_not_integer": "c5 AAA buy x 1",
    "quantity_not_positive": "c6 AAA buy 0 1",
    "quantity_too_large": "c7 AAA buy 9007199254740992 1",
    "price_not_integer": "c8 AAA buy 1 x",
    "price_not_positive": "c9 AAA buy 1 0",
    "price_too_large": "c10 AAA buy 1 9007199254740992",
}


class Counted:
    """A small world whose events are counted from now on."""

    def __init__(self, backend: Fake) -> None:
        self.world = World(backend, small_config())
        self.counts = Counts()
        self.events = Events(TailReader(self.world.scripts), self.counts)
        assert not self.events.count()

    def added(self, name: str, **fields: str) -> str:
        """An entry of a stream of named fields; its id."""
        client, key = self.world.client, self.world.keys.named(name)
        return text(execute(client, "XADD", key, "*", *itertools.chain(*fields.items())))

    def starts(self) -> int:
        """How many starts of the server have been counted."""
        return self.counts.lifecycle["server_started"]


@pytest.fixture
def counted(fake: Fake) -> Counted:
    """What there is by now is not counted."""
    return Counted(fake)


def test_every_known_count_begins_at_0() -> None:
    """Prometheus sees no increase in a series that begins with 1."""
    counts = Counts()
    assert dict(counts.lifecycle) == dict.fromkeys(LIFECYCLE, 0)
    reasons = {reason for _, reason in counts.dead_letters}
    assert reasons == {*REJECTED, "integrity_error"}
    assert set(counts.dead_letters.values()) == {0}


def test_the_known_events_are_those_of_the_scripts() -> None:
    """A script says which events it appends; a story has words for each."""
    told = [
        event
        for script in ("heartbeat", "farewell")
        for words in re.findall(r"-- EMITS  lifecycle \((.*?)\)", script_text(script))
        for event in words.split(", ")
    ]
    assert sorted(told) == sorted(LIFECYCLE)
    assert set(LIVES) == set(LIFECYCLE)


def test_every_dead_letter_has_a_known_count(counted: Counted) -> None:
    """Each reason that the scripts give is one that was there with 0, so no series is new."""
    world, known = counted.world, set(counted.counts.dead_letters)
    world.admit("c1")
    world.send(world.order("buy", 1, 1, order_id="o1"))
    for line in REJECTED_LINES.values():
        world.send_raw("o1", line)
    world.send_raw("o 1", "c1 AAA buy 1 1")
    world.send_to_inbox("c1", "o2", "c2 AAA buy 1 1")
    world.client.xadd(world.keys.named("fills"), {"AAA-7": "buy 1 100 c1 o1 AAA-1 1 100"})
    world.scripts.collect(10)
    world.scripts.match(100)
    world.scripts.commit(100)
    assert counted.events.count()
    assert counted.counts.dead_letters == dict.fromkeys(known, 1)
    assert REJECTED_LINES.keys() | {"bad_order_id", "foreign_client"} == REJECTED.keys()


def test_words_of_others_make_no_series(counted: Counted) -> None:
    """A source, a reason or an event that no script writes is counted as another one."""
    counted.added("deadletter", source="x", reason="malformed")
    counted.added("deadletter", source="orders", reason="halted")
    counted.added("deadletter", source="inbox:a b", reason="foreign_client")
    counted.added("lifecycle", event="x")
    counted.events.count()
    found = {("other", "other"): 1, ("orders", "other"): 1, ("inbox", "foreign_client"): 1}
    assert +counted.counts.dead_letters == found
    assert +counted.counts.lifecycle == {"other": 1}


def test_each_event_counts_once(counted: Counted) -> None:
    """Every call counts what is new, and the first one nothing."""
    for number in range(3):
        counted.added("lifecycle", event="server_started")
        for _ in range(2):
            counted.events.count()
        assert counted.starts() == number + 1


def test_a_stream_that_has_gone_back(counted: Counted) -> None:
    """What a server has lost is not counted again, and what is new afterwards is counted once."""
    key = counted.world.keys.named("lifecycle")
    counted.added("lifecycle", event="server_started")
    last_id = counted.added("lifecycle", event="server_started")
    counted.events.count()
    counted.world.client.xdel(key, last_id)
    # A replica that took over lacked the last event.
    counted.world.client.xadd(key, {"event": "lost"}, id=f"{last_id.partition('-')[0]}-{10**6}")
    counted.events.count()
    assert (counted.starts(), counted.counts.lifecycle["lost"]) == (2, 1)
    counted.world.client.delete(key)
    counted.world.client.xadd(key, {"event": "lost"}, id="5-1")
    counted.events.count()
    counted.world.client.xadd(key, {"event": "lost"}, id="5-2")
    counted.events.count()
    assert (counted.starts(), counted.counts.lifecycle["lost"]) == (2, 2)


def test_another_system(counted: Counted) -> None:
    """The events of another system under these keys are counted from its end on."""
    world = counted.world
    world.client.flushall()
    assert not counted.events.count()
    world.set_up(system_id="7" * 16)
    counted.added("lifecycle", event="server_started")
    assert not counted.events.count()
    assert counted.starts() == 0
    counted.added("lifecycle", event="server_started")
    assert counted.events.count()
    assert counted.starts() == 1


def test_more_than_one_read(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of very many events the last ones are counted, and the skip as well."""
    monkeypatch.setattr("mm.metrics.events.MAX_FIELDS", 6)
    for _ in range(40):
        counted.added("lifecycle", event="lost")
    counted.events.count()
    assert 6 <= counted.counts.lifecycle["lost"] < 40
    assert +counted.counts.skips == {"lifecycle": 1}
    counted.events.count()
    assert +counted.counts.skips == {"lifecycle": 1}
