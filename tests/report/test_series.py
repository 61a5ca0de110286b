"""What the report is made of: thinned series, latencies, and quotes over time, by hand."""

from __future__ import annotations

import random
from typing import Any

import pytest

from mm.report import Past
from mm.report.figures import exposure_figure
from mm.report.latencies import Answers, Latencies, Spread
from mm.report.quoting import Quoted
from mm.report.texts import duration, share
from mm.report.thinned import Thinned
from tests.kit import SEEDS, Fake, World, make_symbol, notional_config, small_config
from tests.kit.past import trade
from tests.report.pages import exposure_now, page_of, past_of


@pytest.mark.parametrize("seed", SEEDS)
def test_thinned(seed: int) -> None:
    """Few points stay, in their order; the first, the last and both extremes are among them."""
    rng = random.Random(seed)
    for _ in range(30):
        most, count = rng.randint(1, 12), rng.choice([1, 2, 5, 40, 300])
        thin: Thinned[int] = Thinned(most)
        ts_ms, every = 0, []
        for number in range(count):
            ts_ms += rng.choice([0, 1, rng.randint(0, 5_000)])
            every.append((ts_ms, rng.randint(-50, 50), number))
            thin.add(*every[-1])
        points = [tuple(point)[:3] for point in thin.points()]
        assert len(points) <= 4 * most
        assert set(points) <= set(every)
        assert [point[2] for point in points] == sorted({point[2] for point in points})
        assert (points[0], points[-1]) == (every[0], every[-1])
        values = [point[1] for point in every]
        assert {min(values), max(values)} <= {point[1] for point in points}
        assert thin.thinned == (len(points) < len(every))


@pytest.mark.parametrize("seed", SEEDS)
def test_percentile(seed: int) -> None:
    """So many per cent are within it, and fewer within any time below it."""
    rng = random.Random(seed)
    for _ in range(30):
        times = [rng.randint(0, 3_000) for _ in range(rng.randint(1, 60))]
        spread = Spread()
        for ms in times:
            spread.add(ms)
        for percent in (50, 95, 99, 100):
            found = spread.percentile(percent)
            assert found in times
            assert 100 * sum(ms <= found for ms in times) >= percent * len(times)
            assert 100 * sum(ms < found for ms in times) < percent * len(times)
        assert sum(spread.classes()) == spread.total == len(times)


def test_answers() -> None:
    """Each fill is answered once, by the first that includes it, also in one millisecond."""
    spread = Spread()
    answers = Answers(spread, from_first=True)
    answers.fill(1, 100)
    answers.fill(2, 105)
    answers.answer(0, 106)
    answers.answer(2, 110)
    answers.answer(3, 111)
    answers.fill(3, 111)
    answers.answer(3, 500)
    answers.fill(4, 600)
    assert sorted(spread.counts.elements()) == [0, 5, 10]
    assert answers.waiting == 1
    answers.answer(4, 590)
    assert spread.backwards == 1 and spread.total == 3


def test_answers_that_are_no_longer_kept() -> None:
    """Where earlier answers may be missing, the first one that is kept measures nothing."""
    spread = Spread()
    answers = Answers(spread, from_first=False)
    for seq in range(1, 6):
        answers.fill(seq, seq)
    answers.answer(4, 9_000)
    assert spread.total == 0
    answers.answer(5, 9_001)
    assert list(spread.counts) == [8_996]


def test_latencies(fake: Fake) -> None:
    """From the exchange's taking of an order to its fill, its commit, and the next quote."""
    world = World(fake, small_config())
    world.propose("AAA")
    world.send(world.order("sell", 2))
    world.advance(7)
    world.scripts.match(10)
    world.advance(11)
    world.scripts.commit(10)
    world.advance(13)
    world.propose("AAA")
    found = past_of(world).latencies
    spreads = (found.taken, found.committed, found.quoted)
    assert [list(one.counts.elements()) for one in spreads] == [[7], [11], [24]]
    rows = page_of(world).table("Latencies")
    assert [row["Longest"] for row in rows] == ["7", "11", "24"]
    assert found.unquoted == 0


def test_an_order_that_was_sent_again() -> None:
    """The first one counts; of orders that were forgotten nothing is measured."""
    found = Latencies(all_commits=True, all_quotes=True)
    found.order("c", "o", 10)
    found.order("c", "o", 20)
    found.fill("AAA", 1, "c", "o", 30)
    found.fill("AAA", 2, "c", "other", 40)
    assert list(found.taken.counts.elements()) == [20]


def quoted_in(past: Past, name: str = "AAA") -> Quoted:
    """What was counted of a symbol."""
    return past.quoting.quoted[name]


def states(one: Quoted) -> tuple[int, int, int]:
    """The ms with both sides, with one, and without a quote."""
    return one.two_ms, one.one_ms, one.none_ms


def test_uptime(fake: Fake) -> None:
    """A side counts until it is filled, and a quote until it expires, however late it is ended."""
    world = World(fake, small_config(1, limit=100, quote_ttl_ms=10_000, refresh_ms=1_000))
    world.beat("maker-1", first=True)
    world.advance(1_000)
    world.propose("AAA")
    world.advance(2_000)
    world.trade(world.order("sell", 10))
    world.scripts.commit(10)
    world.advance(3_000)
    world.propose("AAA", bid_lots=10, ask_lots=5)
    world.advance(14_000)
    world.scripts.expire()
    world.advance(500)
    world.propose("AAA")
    world.advance(250)
    world.beat("maker-1")
    past = past_of(world)
    assert past.end_ms - past.begin_ms == 20_751
    # The end of a range is the first ms that is no longer in it.
    assert states(quoted_in(past)) == (12_251, 3_000, 5_500)
    assert quoted_in(past).longest_ms == 4_500
    (silence,) = past.quoting.silences
    assert silence.length_ms == 4_500
    assert "No symbol was quoted for 4.500 s." in page_of(world).words


def test_uptime_of_a_range(fake: Fake) -> None:
    """What stood when the range begins counts in it, with the lots that were left."""
    world = World(fake, small_config(1, size=10, quote_ttl_ms=10_000, refresh_ms=1_000))
    world.propose("AAA")
    world.trade(world.order("sell", 10))
    world.scripts.commit(10)
    world.advance(4_000)
    since_ms = world.now_ms()
    world.advance(1_000)
    world.propose("AAA")
    world.beat("maker-1")
    past = past_of(world, since_ms=since_ms)
    assert states(quoted_in(past)) == (1, 1_000, 0)
    assert past.quoting.silences == []


def test_waiting(fake: Fake) -> None:
    """A symbol waits from a placement that got less than it asked for until the next one."""
    world = World(fake, small_config(2, limit=10, size=10))
    world.propose("AAA")
    world.propose("BBB")
    world.advance(2_000)
    world.trade(world.order("sell", 10))
    world.trade(world.order("buy", 10))
    world.scripts.commit(10)
    world.propose("BBB")
    world.advance(1_000)
    world.beat("maker-1")
    past = past_of(world)
    one = quoted_in(past, "BBB")
    assert (one.waiting_ms, one.placements, one.short_of) == (2_000, 2, 1)
    assert quoted_in(past).waiting_ms == 0


@pytest.mark.parametrize(
    "config",
    [
        small_config(2, limit=15, size=10),
        notional_config([make_symbol("AAA"), make_symbol("BBB")], 2_500),
    ],
)
def test_exposure(fake: Fake, config: Any) -> None:
    """At each instant it is what the reservations hold, in lots or in money."""
    world = World(fake, config)
    seen = []
    for name in world.names:
        world.advance(1_000)
        world.propose(name)
        seen.append(exposure_now(world))
    world.advance(1_000)
    world.trade(world.order("sell", 3))
    seen.append(exposure_now(world))
    past = past_of(world)
    points = [point.shows for point in past.quoting.exposure.points()]
    assert [one for one in seen if one not in points] == []
    assert points[-1] == seen[-1]
    assert tuple(past.quoting.highest) == tuple(max(one[at] for one in seen) for at in (0, 1))


def test_a_limit_that_changed(fake: Fake) -> None:
    """The limit is drawn as it was, not only as it is."""
    world = World(fake, small_config(2, limit=100))
    world.propose("AAA")
    world.advance(1_000)
    world.configure(limit_units=70)
    changed_ms = world.now_ms()
    world.advance(1_000)
    world.propose("BBB")
    past = past_of(world)
    assert past.limits == [(past.begin_ms, 100), (changed_ms, 70)]
    (limit,) = [one for one in exposure_figure(past)["data"] if one["name"] == "limit"]
    assert limit["y"] == ["100", "70", "70"]


def test_the_highest_share_of_a_limit_that_changed(fake: Fake) -> None:
    """A share is of the limit that stood then, also when quotes outlive a higher one."""
    world = World(fake, small_config(2, limit=20, size=10))
    world.propose("AAA")
    world.advance(1_000)
    world.configure(limit_units=100)
    world.advance(1_000)
    world.propose("BBB")
    caption = "How much of the exposure limit"
    assert [row["Highest of the limit"] for row in page_of(world).table(caption)] == ["50.00 %"] * 2
    world.advance(1_000)
    world.configure(limit_units=15)
    world.advance(1_000)
    page = page_of(world)
    assert [row["Limit now, lots"] for row in page.table(caption)] == ["15"] * 2
    shares = [row["Highest of the limit"] for row in page.table(caption)]
    assert shares == ["133.33 %"] * 2
    assert "until quotes from before a lower limit have ended" in page.words


def test_quotes_that_are_no_longer_kept(fake: Fake) -> None:
    """Quotes count from where all that stood before is known; the page says from when on."""
    world = World(fake, small_config(1, limit=100, quote_ttl_ms=2_000, refresh_ms=500))
    for _ in range(6):
        trade(world, "AAA", "sell", 1)
    first = world.stream("quotes")[1][0]
    world.client.xtrim(world.keys.named("quotes"), minid=first, approximate=False)
    world.beat("maker-1")
    past = past_of(world)
    assert past.lacking == {"quotes"}
    assert past.quoting.begin_ms == int(first.partition("-")[0]) + 2_000
    assert sum(states(quoted_in(past))) == past.end_ms - past.quoting.begin_ms
    assert "older quote events of this range are no longer kept" in page_of(world).words


def test_incidents(fake: Fake) -> None:
    """A process that died and came back is one, an orderly stop and a first start are none."""
    world = World(fake, small_config(2))
    world.beat("maker-1", run="a", pid=11, first=True)
    world.beat("maker-2", run="b", pid=12, first=True)
    world.advance(500)
    world.farewell("maker-2", run="b", pid=12)
    world.advance(500)
    world.beat("maker-1", run="c", pid=13, first=True)
    world.control("halted", "AAA", why="a reason")
    texts = {one.text: one.grave for one in past_of(world).all_incidents}
    (died,) = [words for words, grave in texts.items() if grave]
    assert "maker-1 (pid 13) started, after pid 11 had ended without a farewell" in died
    assert any("a reason" in words for words, grave in texts.items() if not grave)
    assert len(texts) == 2


def test_dead_letters(fake: Fake) -> None:
    """Records that were rejected are counted by their source and reason."""
    world = World(fake, small_config())
    for _ in range(3):
        world.send_raw("x", "rubbish")
    world.scripts.match(10)
    (row,) = page_of(world).table("Dead letters")
    assert (row["From"], row["Records"]) == ("orders", "3")


@pytest.mark.parametrize(
    ("ms", "said"),
    [(0, "0.000 s"), (59_999, "59.999 s"), (61_000, "1 min 1 s"), (90_000_000, "1 d 1 h")],
)
def test_duration(ms: int, said: str) -> None:
    """A time has at most two units."""
    assert duration(ms) == said


def test_share() -> None:
    """100 % is said of all alone, and never rounded up to."""
    assert (share(1, 1), share(99_999, 100_000), share(0, 5)) == ("100.00 %", "99.99 %", "0.00 %")
    assert (share(1, 10**9), share(0, 0)) == ("below 0.01 %", "-")
