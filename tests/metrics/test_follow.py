"""Orders followed through the streams: exact times of what is known, and no guess."""

from __future__ import annotations

from typing import Any

import pytest

from mm.market import Order
from mm.metrics import follow, tail
from mm.metrics.counts import BUCKETS_MS, Counts, Histogram
from mm.metrics.follow import Follower
from mm.metrics.tail import Tail, TailReader
from tests.kit import Fake, World, small_config

#: Nothing is lost.
NONE_LOST = {"report": 0, "position": 0, "quote": 0}


def sums(counts: Counts) -> dict[str, tuple[int, float]]:
    """How many times of each kind there are, and their sum in milliseconds."""
    return {until: (one.count, round(1000 * one.sum_s, 6)) for until, one in counts.latency.items()}


class Trail:
    """A small world and a follower of it, which has begun."""

    def __init__(self, backend: Fake, symbols: int = 2) -> None:
        self.world = World(backend, small_config(symbols, limit=1_000))
        self.counts = Counts()
        self.follower = Follower(self.world.scripts, self.counts)
        self.follower.sample()

    def match(self, *orders: Order, after_ms: int = 0) -> None:
        """Send the orders, and match them so long afterwards."""
        for order in orders:
            self.world.send(order)
        self.world.advance(after_ms)
        self.world.scripts.match(1_000)

    def commit(self, after_ms: int = 0) -> None:
        """Commit what there is."""
        self.world.advance(after_ms)
        self.world.scripts.commit(1_000)

    def quote(self, *symbols: str, after_ms: int = 0) -> None:
        """Place quotes."""
        self.world.advance(after_ms)
        for symbol in symbols:
            self.world.propose(symbol)


@pytest.fixture
def trail(fake: Fake) -> Trail:
    """Two quoted symbols, and a follower."""
    made = Trail(fake)
    made.quote("AAA", "BBB")
    return made


def test_the_times_of_an_order(trail: Trail) -> None:
    """Report, position and quote are timed from the order's entry, each by the server's clock."""
    trail.match(trail.world.order("buy", 2), after_ms=7)
    trail.follower.sample()
    assert sums(trail.counts) == {"report": (1, 7), "position": (0, 0), "quote": (0, 0)}
    trail.follower.look()
    trail.commit(after_ms=20)
    trail.follower.look()
    assert sums(trail.counts) == {"report": (1, 7), "position": (1, 27), "quote": (0, 0)}
    trail.quote("BBB", after_ms=30)
    trail.follower.look()
    trail.quote("AAA", after_ms=50)
    trail.follower.look()
    assert sums(trail.counts) == {"report": (1, 7), "position": (1, 27), "quote": (1, 107)}
    assert not trail.follower.is_following
    assert trail.counts.lost == NONE_LOST


def test_all_at_once(trail: Trail) -> None:
    """What happened between two looks is timed as well: by the streams, not by the looks."""
    for _ in range(3):
        trail.match(trail.world.order("buy", 1), after_ms=5)
    trail.commit(after_ms=10)
    trail.quote("AAA", after_ms=100)
    trail.match(trail.world.order("buy", 1, symbol="BBB"), after_ms=1)
    trail.follower.sample()
    trail.follower.look()
    # The three entered 15, 10 and 5 ms before the last match.
    position, quote = 25 + 20 + 15, 125 + 120 + 115
    assert sums(trail.counts) == {"report": (4, 16), "position": (3, position), "quote": (3, quote)}


def test_the_first_quote_counts(trail: Trail) -> None:
    """A later quote from the same position, and one from an older one, are not the answer."""
    trail.match(trail.world.order("buy", 1))
    trail.follower.sample()
    trail.commit()
    trail.quote("AAA", after_ms=3)
    trail.quote("AAA", after_ms=40)
    trail.follower.look()
    assert sums(trail.counts)["quote"] == (1, 3)


def test_an_omission_is_no_quote(trail: Trail) -> None:
    """A placement that got nothing does not answer a fill."""
    trail.match(trail.world.order("buy", 1))
    trail.follower.sample()
    trail.commit()
    trail.world.advance(3)
    trail.world.propose("AAA", bid_lots=0, ask_lots=0)
    trail.follower.look()
    assert sums(trail.counts)["quote"] == (0, 0)
    trail.quote("AAA", after_ms=40)
    trail.follower.look()
    assert sums(trail.counts)["quote"] == (1, 43)


def test_an_order_without_a_fill(trail: Trail) -> None:
    """It has a report and nothing after it. A malformed one has not even an order to follow."""
    trail.match(trail.world.order("buy", 1, limit=1), after_ms=4)
    trail.world.send_raw("o-9", "not an order")
    trail.world.scripts.match(10)
    trail.follower.sample()
    assert sums(trail.counts) == {"report": (1, 4), "position": (0, 0), "quote": (0, 0)}
    assert not trail.follower.is_following
    assert +trail.counts.dead_letters == {("orders", "malformed"): 1}
    assert trail.counts.lost == NONE_LOST


def test_a_resent_order_counts_once(trail: Trail) -> None:
    """The second entry of an order has no time of its own."""
    order = trail.world.order("buy", 1)
    trail.match(order, after_ms=2)
    trail.follower.sample()
    trail.world.advance(1_000)
    trail.match(order, after_ms=9)
    trail.follower.sample()
    assert sums(trail.counts)["report"] == (1, 2)
    assert trail.counts.lost == NONE_LOST


def test_what_was_before_is_not_counted(fake: Fake) -> None:
    """A follower begins where the streams end, dead letters included."""
    world = World(fake, small_config())
    world.trade(world.order("buy", 1, symbol="ZZZ"))
    counts = Counts()
    follower = Follower(world.scripts, counts)
    follower.sample()
    follower.sample()
    assert (sums(counts)["report"], +counts.dead_letters) == ((0, 0), {})


def test_many_orders_are_sampled(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many orders the last ones are taken, and the skip is counted."""
    monkeypatch.setattr(follow, "MAX_ORDERS", 10)
    trail.match(*(trail.world.order("buy", 1) for _ in range(100)), after_ms=1)
    trail.follower.sample()
    count, _ = sums(trail.counts)["report"]
    assert 10 <= count <= 20
    assert +trail.counts.skips == {"orders": 1}


def test_no_guess(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the answer may be in what was left out, the time is lost, and not a later one taken."""
    monkeypatch.setattr(tail, "FIRST_PAGE", 1)
    trail.match(trail.world.order("buy", 1))
    trail.follower.sample()
    trail.commit()
    trail.follower.look()
    monkeypatch.setattr(follow, "MAX_FIELDS", 1)
    trail.quote("AAA", after_ms=3)
    trail.quote("AAA", after_ms=40)
    trail.follower.look()
    assert sums(trail.counts)["quote"] == (0, 0)
    assert trail.counts.lost == NONE_LOST | {"quote": 1}
    assert not trail.follower.is_following


def test_what_may_have_been_left_out_is_lost(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an answer in sight, one may have been in what was left out: no later one counts."""
    monkeypatch.setattr(tail, "FIRST_PAGE", 1)
    trail.match(trail.world.order("buy", 1))
    trail.follower.sample()
    trail.commit()
    trail.follower.look()
    monkeypatch.setattr(follow, "MAX_FIELDS", 1)
    trail.quote("AAA", "BBB", after_ms=3)
    trail.follower.look()
    assert sums(trail.counts)["quote"] == (0, 0)
    assert trail.counts.lost == NONE_LOST | {"quote": 1}


def test_each_look_reads_what_is_new(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fill that waits long costs no more at its last look than at its first."""
    trail.match(trail.world.order("buy", 1))
    trail.follower.sample()
    trail.commit()
    monkeypatch.setattr(follow, "MAX_FIELDS", 60)
    for _ in range(8):
        trail.quote("BBB", after_ms=1)
        trail.follower.look()
    trail.quote("AAA", after_ms=1)
    trail.follower.look()
    assert sums(trail.counts)["quote"] == (1, 9)
    assert +trail.counts.skips == {}


def test_sure_in_spite_of_a_gap(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the quote before it in sight, a quote is the first one whatever was left out."""
    trail.quote("BBB", "BBB", "BBB", "AAA")
    trail.match(trail.world.order("buy", 1))
    trail.follower.sample()
    # All of this is in one millisecond, from which on the follower looks for quotes.
    trail.commit()
    trail.quote("AAA", after_ms=5)
    monkeypatch.setattr(tail, "FIRST_PAGE", 2)
    monkeypatch.setattr(follow, "MAX_FIELDS", 1)
    trail.follower.look()
    assert trail.counts.skips["quotes"] == 1
    assert sums(trail.counts)["quote"] == (1, 5)


def test_what_is_never_answered(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fill whose symbol is not quoted any more is followed for a bounded time."""
    monkeypatch.setattr(follow, "MAX_LOOKS", 3)
    trail.match(trail.world.order("buy", 1))
    trail.follower.sample()
    trail.commit()
    trail.world.control("halted", "AAA")
    for _ in range(4):
        trail.follower.look()
    assert not trail.follower.is_following
    assert trail.counts.lost == NONE_LOST | {"quote": 1}


def test_followed_fills_are_bounded(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound fills are lost, and said to be."""
    monkeypatch.setattr(follow, "MAX_FOLLOWED", 2)
    trail.match(*(trail.world.order("buy", 1) for _ in range(5)))
    trail.follower.sample()
    assert sums(trail.counts)["report"] == (5, 0)
    assert trail.counts.lost == NONE_LOST | {"position": 3}


def test_a_clock_that_goes_back(trail: Trail, fake: Fake) -> None:
    """A report that is older than its order has no time."""
    trail.world.send(trail.world.order("buy", 1))
    fake.set_ms(trail.world.now_ms() - 60_000)
    trail.world.scripts.match(10)
    trail.follower.sample()
    assert sums(trail.counts)["report"] == (0, 0)
    assert trail.counts.lost["report"] == 1


def test_an_error_loses_no_order(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders of a sample that an error ended are counted as lost, and none is sampled twice."""
    orders = [trail.world.order("buy", 1, client=client) for client in ("c1", "c2", "c3")]
    trail.match(*orders)
    read, reads = TailReader.read, []

    def failing(self: TailReader, key: str, *bounds: Any) -> Tail:
        reads.append(key)
        if len(reads) == 5:
            raise ConnectionError
        return read(self, key, *bounds)

    # Two reads for the events, one for the orders and one for the reports of the first client.
    monkeypatch.setattr(TailReader, "read", failing)
    with pytest.raises(ConnectionError):
        trail.follower.sample()
    assert sums(trail.counts)["report"] == (1, 0)
    assert trail.counts.lost == NONE_LOST | {"report": 2}
    trail.follower.sample()
    trail.match(trail.world.order("buy", 1))
    trail.follower.sample()
    assert sums(trail.counts)["report"] == (2, 0)
    assert trail.counts.lost == NONE_LOST | {"report": 2}


def test_it_goes_on_after_an_error(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was matched and committed while nothing could be read is timed afterwards."""
    trail.match(trail.world.order("buy", 1))
    trail.follower.sample()
    with monkeypatch.context() as patch:
        patch.setattr(follow, "execute", _refused)
        with pytest.raises(ConnectionError):
            trail.follower.sample()
    trail.match(trail.world.order("buy", 1), after_ms=4_000)
    trail.commit()
    trail.follower.sample()
    trail.follower.look()
    assert sums(trail.counts) == {"report": (2, 4_000), "position": (2, 8_000), "quote": (0, 0)}


def _refused(*_: object) -> None:
    raise ConnectionError


@pytest.mark.parametrize("back", [False, True])
def test_another_past(trail: Trail, back: bool) -> None:
    """Of another system, or after a cursor that went back, nothing is matched with what was."""
    trail.match(trail.world.order("buy", 1), trail.world.order("buy", 1))
    trail.follower.sample()
    trail.commit()
    trail.follower.look()
    trail.match(trail.world.order("buy", 1))
    trail.follower.sample()
    if back:
        trail.world.client.hset(trail.world.keys.named("cursors"), "exchange", "5-1")
    else:
        trail.world.client.hset(trail.world.keys.named("config"), "system_id", "7" * 16)
    before = sums(trail.counts)
    trail.follower.sample()
    assert not trail.follower.is_following
    assert trail.counts.lost == NONE_LOST | {"position": 1, "quote": 2}
    assert sums(trail.counts) == before


def test_events_of_processes(trail: Trail) -> None:
    """Starts and ends are counted by event."""
    trail.world.beat("maker-1", first=True)
    trail.world.farewell("maker-1")
    trail.follower.sample()
    assert +trail.counts.lifecycle == {"started": 1, "stopped": 1}


def test_rubbish_in_the_streams(trail: Trail) -> None:
    """Entries of foreign programs are passed over, and their words make no new labels."""
    world = trail.world
    for name in ("positions", "quotes", "lifecycle", "deadletter"):
        world.client.xadd(world.keys.named(name), {b"\xff": b"\x00 \xff", b"reason": b"odd\n"})
    order, key = world.order("buy", 1), world.keys.member("reports:*", "c1")
    lines = ["rubbish", "zzz - 0 - - - 0 {0}", "filled - 1 101 AAA-x AAA-1 0 {0}"]
    world.send(order)
    for line in lines:
        # Each says that it answers the order, at an instant at which a report could.
        world.client.xadd(key, {order.order_id: line.format(world.now_ms())})
    trail.match(after_ms=1)
    trail.commit()
    trail.quote("AAA")
    trail.follower.sample()
    trail.follower.look()
    assert sums(trail.counts) == {"report": (1, 1), "position": (1, 1), "quote": (1, 1)}
    assert +trail.counts.dead_letters == {("other", "other"): 1}
    assert +trail.counts.lifecycle == {"other": 1}


def test_a_histogram_is_cumulative() -> None:
    """A bucket counts the times up to its end; the last has all, and the sum is in seconds."""
    histogram = Histogram()
    for ms in (0, 1, 2, 3, 30_000, 30_001):
        histogram.observe(ms)
    found = dict(histogram.cumulative())
    assert [found["0.001"], found["0.002"], found["0.005"]] == [2, 3, 4]
    assert (found["30"], found["+Inf"], histogram.count) == (5, 6, 6)
    assert histogram.sum_s == 60.007
    assert len(found) == len(BUCKETS_MS) + 1
