"""Pacing: the next trade waits until the quotes have answered the last, and only so long."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mm.errors import UsageError
from mm.market import Order
from mm.orders import Pacing, PublisherOptions, check_paced, pacing_doubts
from mm.orders.unanswered import Answer
from tests.kit import World, small_config
from tests.kit.tapes import trades


class Paced:
    """A pacing over a world, and what it says."""

    def __init__(self, world: World, wait_s: float = 1e6) -> None:
        self.world = world
        self.said: list[str] = []
        self.pacing = Pacing(world.keys, wait_s, self.said.append)

    def trade(self, order: Order) -> None:
        """Send an order, match it, and note its report."""
        (report,) = self.world.trade(order)
        self.pacing.note([Answer(order, report)])

    def ready(self, symbol: str = "AAA") -> bool:
        """Whether an order of the symbol may be sent."""
        return self.pacing.is_answered(self.world.client, symbol, 0)


@pytest.fixture
def paced(world: World) -> Paced:
    """Both symbols quoted, on each backend."""
    for symbol in world.names:
        world.propose(symbol)
    return Paced(world)


class TestAnswers:
    def test_waits_for_the_answering_quote(self, paced: Paced) -> None:
        """After a fill nothing is sent before a quote from the position that includes it."""
        world = paced.world
        assert paced.ready("AAA") and paced.ready("BBB")
        paced.trade(world.order())
        assert not paced.ready("AAA") and not paced.ready("BBB")
        world.scripts.commit(10)
        assert not paced.ready()
        world.propose("AAA", trigger="position")
        assert paced.ready("AAA") and paced.ready("BBB")
        assert paced.said == []

    def test_an_order_without_a_fill_is_answered_at_once(self, paced: Paced) -> None:
        """A quote that nothing has hit stands as it was."""
        paced.ready()
        paced.trade(paced.world.order(limit=1))
        assert paced.ready()

    def test_another_quote_is_no_answer(self, paced: Paced) -> None:
        """A quote of another symbol, or one placed before the fill, does not answer it."""
        world = paced.world
        world.propose("AAA", trigger="refresh")
        paced.trade(world.order())
        world.propose("BBB", trigger="refresh")
        assert not paced.ready()

    def test_an_omission_is_an_answer(self, paced: Paced) -> None:
        """A symbol that is quoted no more has nothing to wait for."""
        world = paced.world
        paced.trade(world.order())
        world.scripts.commit(10)
        world.propose("AAA", trigger="position", bid_lots=0, ask_lots=0)
        assert paced.ready()
        paced.trade(world.order())
        assert paced.ready() and paced.said == []

    def test_a_quote_that_is_about_to_end(self, fake_world: World) -> None:
        """An order waits for the renewal of a quote that may expire before it is matched."""
        world, paced = fake_world, Paced(fake_world)
        for symbol in world.names:
            world.propose(symbol)
        paced.pacing.least_life_ms = 2_000
        world.advance(world.config.quote_ttl_ms - 1_000)
        assert not paced.ready()
        world.propose("AAA", trigger="refresh")
        assert paced.ready() and not paced.ready("BBB")
        world.advance(1_000)
        world.scripts.expire()
        assert not paced.ready("BBB")

    def test_learns_what_stands_from_the_stream(self, paced: Paced) -> None:
        """One that takes a run up reads the events back, and knows what is answered already."""
        world = paced.world
        order = world.order()
        (report,) = world.trade(order)
        world.scripts.commit(10)
        world.propose("AAA", trigger="position")
        later = Paced(world)
        later.pacing.note([Answer(order, report)])
        assert later.ready()


class TestBound:
    def test_goes_on_in_the_end(self, world: World) -> None:
        """Without an answer it says so, counts it, and waits again only once there is a quote."""
        paced = Paced(world, wait_s=0.0)
        world.propose("AAA")
        paced.ready()
        paced.trade(world.order())
        assert paced.ready()
        (line,) = paced.said
        assert line.startswith("paced: no quote has answered the fill AAA-1 within 0 s")
        assert paced.ready() and len(paced.said) == 1
        assert paced.pacing.verdict().startswith("paced: but 1 time another replay may")
        world.scripts.commit(10)
        world.propose("AAA", trigger="position")
        assert paced.ready()
        paced.trade(world.order())
        assert paced.ready() and len(paced.said) == 2

    def test_a_quote_that_vanished(self, paced: Paced) -> None:
        """An order that finds no quote although one stood is an exception to the promise."""
        world = paced.world
        paced.ready()
        world.control("halted", "AAA")
        world.control("active", "AAA")
        paced.trade(world.order(order_id="o7"))
        (line,) = paced.said
        assert line.startswith("paced: order o7 found no quote, although one had stood")

    def test_kept(self, paced: Paced) -> None:
        """Without exceptions the verdict says that all was paced."""
        assert "every trade was sent after the quotes" in paced.pacing.verdict()


class TestDoubts:
    def test_a_limit_that_holds_all_quotes(self, tmp_path: Path) -> None:
        """Only a limit that cannot make a symbol wait leaves no doubt, at the tape's prices too."""
        tape = trades(tmp_path, "1,AAA,buy,2.00,1", "2,AAA,sell,1.00,1")
        config = small_config(2, limit=20, size=10)
        assert pacing_doubts(config, tape) == []
        (doubt,) = pacing_doubts(replace(config, limit_units=19), tape)
        assert doubt.startswith("the quotes may ask for 20 units of exposure at once and the limit")

    def test_protections(self, tmp_path: Path) -> None:
        """A protection counts by the clock."""
        tape = trades(tmp_path, "1,AAA,buy,2.00,1")
        config = small_config(2, limit=20, of_symbol={"protection_lots": 5})
        (doubt,) = pacing_doubts(config, tape)
        assert doubt.startswith("the protection of AAA BBB counts")

    def test_refused(self, tmp_path: Path) -> None:
        """It needs a tape, and one partition."""
        tape = trades(tmp_path, "1,AAA,buy,2.00,1")
        with pytest.raises(UsageError, match="--paced: it is for a tape"):
            PublisherOptions(paced=True)
        with pytest.raises(UsageError, match="--paced: the system has 2 partitions"):
            check_paced(tape, 2)
        assert PublisherOptions(tape=tape, paced=True, in_flight=50).window == 1
