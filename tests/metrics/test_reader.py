"""The thread that follows the streams: whatever goes wrong, it goes on, and the answer says so."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest
import redis

from mm.metrics import Exporter, exporter
from mm.metrics.follow import Follower
from tests.kit import Real, World, small_config, wait_for
from tests.kit.partitioned import Partitioned
from tests.kit.scraped import Served

pytestmark = pytest.mark.server


class Reading:
    """A system, an exporter whose reader runs, and an error that each sample raises while set."""

    def __init__(self, backend: Real) -> None:
        self.world = World(backend, small_config())
        self.error: BaseException | None = None
        self.failed = threading.Event()
        self.threads = threading.active_count()
        scripts = self.world.make_scripts()
        self.exporter = Exporter(lambda: scripts)

    def served(self) -> Served:
        """An answer, and before it what a scrape does."""
        self.exporter.begin()
        return Served(self.exporter.text())

    def follows(self) -> bool:
        """Whether the answer says that the reader follows the streams."""
        return self.served()("mm_reader_up") == 1

    def followed(self) -> float:
        """How many reports have been followed, one order later."""
        self.world.send(self.world.order("buy", 1))
        self.world.scripts.match(10)
        self.world.scripts.commit(10)
        return self.served()("mm_order_report_seconds_count") or 0

    def rejected(self) -> float | None:
        """How many unknown symbols have been counted."""
        return self.served()("mm_dead_letters_total", source="orders", reason="unknown_symbol")

    def fails(self, error: BaseException) -> None:
        """Let each sample fail so from now on, and wait for the first that does."""
        self.failed.clear()
        self.error = error
        assert self.failed.wait(5)


@pytest.fixture
def reading(real_backend: Real, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reading]:
    """A reader that has begun, with short seconds."""
    monkeypatch.setattr(exporter, "SAMPLE_S", 0.02)
    monkeypatch.setattr(exporter, "LOOK_S", 0.005)
    made, read = Reading(real_backend), Follower.sample

    def sample(self: Follower) -> None:
        if made.error is not None:
            made.failed.set()
            raise made.error
        read(self)

    monkeypatch.setattr(Follower, "sample", sample)
    wait_for("the first orders", lambda: made.followed() > 1)
    yield made
    made.error = None
    made.exporter.close()
    wait_for("the end of the thread", lambda: threading.active_count() == made.threads)


@pytest.mark.parametrize("error", [redis.ConnectionError("gone"), OSError("gone")])
def test_it_goes_on_after_an_error(reading: Reading, error: Exception) -> None:
    """An error of the server ends no reader, and what came meanwhile is counted."""
    assert threading.active_count() == reading.threads + 1
    assert reading.rejected() == 0
    reading.fails(error)
    before = reading.followed()
    reading.world.trade(reading.world.order("buy", 1, symbol="ZZZ"))
    wait_for("what the answer says", lambda: not reading.follows())
    assert reading.rejected() == 0
    reading.error = None
    wait_for("the dead letter", lambda: reading.rejected() == 1)
    wait_for("more orders", lambda: reading.followed() > before)
    wait_for("what the answer says", reading.follows)


def test_it_outlives_any_error(reading: Reading, caplog: pytest.LogCaptureFixture) -> None:
    """A fault of the reader itself is logged once with its place, and it begins anew."""
    with caplog.at_level(logging.WARNING, "mm.metrics"):
        reading.fails(ValueError("AAPL-x"))
        wait_for("what the answer says", lambda: not reading.follows())
        reading.world.trade(reading.world.order("buy", 1, symbol="ZZZ"))
        reading.fails(ValueError("AAPL-x"))
        reading.error = None
        wait_for("what the answer says", reading.follows)
    (record,) = caplog.records
    assert "ValueError: AAPL-x" in record.getMessage()
    assert record.exc_info is not None
    assert threading.active_count() == reading.threads + 1
    before = reading.followed()
    wait_for("more orders", lambda: reading.followed() > before)
    # It does not read again what it may have failed at.
    assert reading.rejected() == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_scrape_begins_a_thread_that_ended(reading: Reading) -> None:
    """While no thread follows the streams the answer says so; the next scrape begins another."""
    reading.fails(SystemExit())
    wait_for("its end", lambda: threading.active_count() == reading.threads)
    assert Served(reading.exporter.text())("mm_reader_up") == 0
    reading.error = None
    assert reading.follows()
    before = reading.followed()
    wait_for("more orders", lambda: reading.followed() > before)


def test_rubbish_ends_no_reader(reading: Reading) -> None:
    """Records that no script writes, one in each stream, stop no count."""
    world = reading.world
    order = world.order("buy", 1)
    world.send(order)
    key = world.keys.member("reports:*", order.client_id)
    for line in ("filled - 1 101 AAPL-x AAPL-1 0 {0}", "zzz - 0 - - - 0 {0}", "\x00"):
        world.client.xadd(key, {order.order_id: line.format(world.now_ms())})
    for name in ("orders", "positions", "quotes", "lifecycle", "deadletter", "fills"):
        world.client.xadd(world.keys.named(name), {b"\xff": b"\x00 \xff", b"event": b"active"})
    before = reading.followed()
    wait_for("more orders", lambda: reading.followed() > before + 1)
    assert reading.follows()


def test_what_the_partitions_have_in_common(real_backend: Real) -> None:
    """A balancer belongs to no partition: its events are counted, too."""
    system = Partitioned(real_backend, small_config(4, limit=40, partitions=2))
    scripts = system.root.make_scripts()
    made = Exporter(lambda: scripts)
    made.sample()
    system.root.beat("balancer-1", first=True)
    system.worlds[1].beat("state-1.1", first=True)
    made.sample()
    assert Served(made.text())("mm_lifecycle_events_total", event="started") == 2
