"""A publisher's run: it begins when the market is quoted, and goes on after each death."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import pytest

from mm.errors import ValueRefused
from mm.orders import PublisherOptions, newest_answered
from mm.store import execute
from tests.kit import SEEDS, Fake, assert_sound, make_symbol
from tests.kit.publishing import Market, total
from tests.kit.tapes import trades


class TestFirstQuotes:
    LINES = ("1,AAA,buy,1.02,3", "5,BBB,sell,0.90,2")

    def market(self, fake: Fake, directory: Path, **options: Any) -> tuple[Market, list[str]]:
        """A market that is not quoted yet, a tape's publisher, and what it says."""
        tape = trades(directory, *self.LINES)
        market = Market(fake, quoted=False, tape=tape, speed=0, **options)
        said: list[str] = []
        market.publisher.say = said.append
        return market, said

    def test_waits_for_the_market(self, fake: Fake, tmp_path: Path) -> None:
        """No order of a tape is sent before each of its symbols has had a quote; it says so."""
        market, said = self.market(fake, tmp_path, quotes_wait_s=1e6)
        for _ in range(3):
            market.publisher.step()
        assert market.world.records("orders") == []
        assert said == ["the tape waits for a first quote of AAA BBB"]
        market.world.propose("BBB")
        market.publisher.step()
        assert market.world.records("orders") == []
        market.quote()
        summary = market.run()
        assert (summary.sent, summary.filled) == (2, 2)
        assert said[1:] == ["every symbol of the tape has had a quote: it begins"]

    def test_goes_on_without(self, fake: Fake, tmp_path: Path) -> None:
        """The wait is bounded: then the tape begins, and the symbols without a quote are named."""
        market, said = self.market(fake, tmp_path, quotes_wait_s=0.0)
        market.world.propose("BBB")
        summary = market.run()
        assert (summary.sent, summary.by_reason) == (2, {"no_quote": 1})
        assert said[1:] == ["no quote of AAA within 0 s: the tape begins anyway"]

    def test_quoted_market(self, fake: Fake, tmp_path: Path) -> None:
        """Over a quoted market a tape begins at once."""
        market, said = self.market(fake, tmp_path, quotes_wait_s=1e6)
        market.quote()
        market.publisher.step()
        assert len(market.world.records("orders")) == 2
        assert said == ["every symbol of the tape has had a quote: it begins"]

    def test_synthetic_flow_waits_for_nothing(self, fake: Fake) -> None:
        """Without a tape the first orders are sent before the first quotes."""
        market = Market(fake, quoted=False, orders=3)
        market.publisher.step()
        assert len(market.world.records("orders")) == 3

    def test_stop_ends_the_wait(self, fake: Fake, tmp_path: Path) -> None:
        """A stop while it waits ends it, and nothing was sent."""
        market, _ = self.market(fake, tmp_path, quotes_wait_s=1e6)
        stop = threading.Event()
        stop.set()
        market.publisher.run(stop)
        assert market.publisher.summary.sent == 0


class TestRuns:
    def die_and_return(self, market: Market) -> None:
        """The publisher is gone, with all that it knew, and another one with its options comes."""
        market.publisher = market.make_publisher()

    @pytest.mark.parametrize("tape", [False, True])
    @pytest.mark.parametrize("seed", SEEDS)
    def test_deaths(self, fake: Fake, tmp_path: Path, seed: int, tape: bool) -> None:
        """Though it dies all the time, each order of its run executes once; none is left out."""
        rng = random.Random(seed)
        lines = [f"{n},AAA,{rng.choice(('buy', 'sell'))},1.0{n % 4},{n % 7 + 1}" for n in range(90)]
        flow: dict[str, Any] = {"tape": trades(tmp_path, *lines), "speed": 0} if tape else {}
        market = Market(fake, orders=None if tape else 90, in_flight=6, run_id="r1", **flow)
        deaths = 0
        while not market.publisher.over.is_set():
            for process in rng.sample([market.publisher, *market.others], 3):
                process.step()
            if rng.random() < 0.1:
                self.die_and_return(market)
                deaths += 1
        sent = market.world.records("orders")
        lines_of = dict(sent)
        assert deaths > 5
        assert set(lines_of) == {f"r1-{number}" for number in range(1, 91)}
        assert all(lines_of[name] == line for name, line in sent), "an id with two contents"
        first = [one.order_id for one in market.world.reports("publisher-1") if not one.duplicate]
        assert sorted(first) == sorted(lines_of)
        assert "order_id_conflict" not in market.publisher.summary.by_reason
        assert_sound(market.world)

    def test_another_configuration_is_another_run(self, fake: Fake, tmp_path: Path) -> None:
        """It waits for its reports, and begins a run over the new symbols; the count goes on."""
        market = Market(fake, orders=60, in_flight=6, run_id="r1")
        world, said = market.world, list[str]()
        market.publisher.say = said.append
        while len(world.records("orders")) < 20:
            market.step()
        added = make_symbol("NEW")
        world.configure(symbols=(*world.config.symbols, added))
        market.publisher.beat()
        market.run()
        names = [name for name, _ in world.records("orders")]
        switch = names.index("r1-v2-1")
        assert names[:switch] == [f"r1-{number}" for number in range(1, switch + 1)]
        assert names[switch:] == [f"r1-v2-{number}" for number in range(1, 60 - switch + 1)]
        assert said == ["run r1-v2 begins: the configuration has version 2"]
        assert any(" NEW " in line for _, line in world.records("orders")[switch:])
        self.die_and_return(market)
        market.publisher.say = said.append
        market.publisher.step()
        assert "run r1-v2 goes on at order" in said[-1]
        assert "order_id_conflict" not in market.run().by_reason
        assert_sound(world)

    def test_a_tape_is_one_run(self, fake: Fake, tmp_path: Path) -> None:
        """The orders of a tape do not follow from what may change, so its run goes on."""
        lines = [f"{n},AAA,buy,1.02,1" for n in range(30)]
        market = Market(fake, tape=trades(tmp_path, *lines), speed=0, in_flight=4, run_id="r1")
        while len(market.world.records("orders")) < 10:
            market.step()
        market.world.configure(limit_units=30)
        market.publisher.beat()
        market.run()
        assert {name.rpartition("-")[0] for name, _ in market.world.records("orders")} == {"r1"}

    def test_only_the_last_orders_again(self, fake: Fake) -> None:
        """It sends no more than ``in_flight`` orders again, and says where it goes on."""
        market = Market(fake, orders=50, in_flight=4, run_id="r1")
        while len(market.world.records("orders")) < 40:
            market.step()
        before = len(market.world.records("orders"))
        self.die_and_return(market)
        said: list[str] = []
        market.publisher.say = said.append
        summary = market.run()
        (first,) = said
        number = int(first.removeprefix("run r1 goes on at order "))
        assert before - 4 < number <= before
        assert summary.first == number and f"from order {number} of the run on" in summary.text()
        assert summary.sent == total(summary) == 50 - number + 1
        assert summary.duplicate <= 4

    def test_after_the_last_order(self, fake: Fake) -> None:
        """A run that was complete stays so."""
        market = Market(fake, orders=9, in_flight=4, run_id="r1")
        market.run()
        self.die_and_return(market)
        summary = market.run()
        assert (summary.sent, summary.duplicate) == (4, 4)
        assert len({name for name, _ in market.world.records("orders")}) == 9

    def test_never_further_than_the_window(self, fake: Fake) -> None:
        """An order that is not answered holds back those that are ``in_flight`` behind it."""
        market = Market(fake, in_flight=3, run_id="r1", resend_after_s=1e5)
        market.publisher.step()
        (first, *_) = market.world.stream("orders")
        execute(market.world.client, "XDEL", market.world.keys.named("orders"), first[0])
        for _ in range(5):
            market.step()
        names = [name for name, _ in market.world.records("orders")]
        assert names == ["r1-2", "r1-3"]
        assert list(market.publisher._client.unanswered) == ["r1-1"]  # type: ignore[union-attr]  # begun

    def test_time_goes_on(self, fake: Fake, tmp_path: Path) -> None:
        """The time of a tape goes on where the run stood: due orders at once, the others later."""
        tape = trades(tmp_path, *(f"{second}000,AAA,buy,1.02,1" for second in (0, 50, 50, 100)))
        market = Market(fake, tape=tape, in_flight=2, run_id="r1")
        for number in (1, 2, 3):
            market.world.send_raw(f"r1-{number}", "publisher-1 AAA buy 1 102")
        market.others[0].step()
        for _ in range(3):
            market.step()
        names = [name for name, _ in market.world.records("orders")]
        assert names == ["r1-1", "r1-2", "r1-3", "r1-2", "r1-3"]
        assert not market.publisher.over.is_set()
        market.publisher = market.make_publisher(duration_s=40.0)
        market.publisher.step()
        assert market.publisher.over.is_set()

    def test_finds_its_newest_report(self, fake: Fake) -> None:
        """Reports of other runs, in any number, do not hide where a run stands."""
        world = Market(fake).world

        def answered(run_id: str) -> int:
            return newest_answered(world.client, world.keys, "p", run_id)

        assert answered("r1") == 0
        world.send_raw("r1-7", "p AAA buy 1 1", "r1-8", "p AAA buy 1 1", "x", "p AAA buy 1 1")
        world.exchange().step()
        for number in range(50):
            world.send_raw(f"r1-x-{number}", "p AAA buy 1 1")
            world.exchange().step()
        assert (answered("r1"), answered("r1-x"), answered("r")) == (8, 49, 0)

    @pytest.mark.parametrize("run_id", ["", "a b", "r" * 41])
    def test_bad_run_id(self, run_id: str) -> None:
        """A run id that cannot begin an order id is refused."""
        with pytest.raises(ValueRefused, match="run_id"):
            PublisherOptions(run_id=run_id)
