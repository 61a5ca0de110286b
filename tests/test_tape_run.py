"""A replay as `mm up` shows it: its progress, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mm.host import ChildPlan
from mm.store import take_snapshot
from mm.tape_run import SymbolReplay, TapeRun
from mm.terminal import make_console
from tests.kit import World
from tests.kit.tapes import trades

LINES = ("1000,AAA,buy,1.01,4", "2000,AAA,buy,1.01,8", "3000,BBB,sell,0.99,3", "4000,AAA,buy,0.5,1")


@pytest.fixture
def tape(tmp_path: Path) -> Any:
    """Two fills and a partial one are possible, one trade is not marketable."""
    return trades(tmp_path, *LINES)


def send(world: World, number: int, symbol: str, side: str, lots: int, limit: int) -> None:
    """Order ``number`` of the run r1, matched and committed."""
    world.send_raw(f"r1-{number}", f"publisher-1 {symbol} {side} {lots} {limit}")
    world.drain()


class TestTapeRun:
    def run(self, world: World, tape: Any, **options: Any) -> TapeRun:
        """The replay of a system in which both symbols are quoted 99 to 101, 10 lots each."""
        for symbol in world.names:
            world.propose(symbol)
        return TapeRun(tape, ChildPlan(tape=tape.path, run_id="r1", **options), world.scripts)

    def test_progress(self, world: World, tape: Any) -> None:
        """It follows the publisher's reports."""
        run = self.run(world, tape)
        assert run.progress() == "tape not begun"
        send(world, 1, "AAA", "buy", 4, 101)
        assert run.progress() == "tape 1.0 s, 25 %, 3 s left"
        send(world, 2, "AAA", "buy", 8, 101)
        send(world, 3, "BBB", "sell", 3, 99)
        send(world, 4, "AAA", "buy", 1, 50)
        assert run.progress() == "tape 4.0 s, 100 %, at its end"

    def test_no_publisher(self, world: World, tape: Any) -> None:
        """Without publishers nothing is replayed, and nothing is said."""
        assert self.run(world, tape, publishers=0).progress() == ""

    def test_results(self, world: World, tape: Any) -> None:
        """The ledger says what filled; other orders count for the position alone."""
        run = self.run(world, tape)
        world.trade(world.order("sell", qty=9, symbol="BBB", limit=99))
        assert run.results()["BBB"].worst_lots == 0, "the run has not begun"
        send(world, 1, "AAA", "buy", 4, 101)
        send(world, 2, "AAA", "buy", 8, 101)
        world.trade(world.order("sell", qty=2, symbol="AAA", limit=99))
        assert run.results() == {
            "AAA": SymbolReplay(3, 13, 2, 1, 10, -10),
            "BBB": SymbolReplay(1, 3, 0, 0, 0, 9),
        }

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"speed": 10.0}, "sent at speed 10: what filled depends on how fast they were"),
            ({"speed": 0.0}, "trades that were sent flat out"),
            ({"speed": 0.0, "paced": True}, "The quotes answered before each next trade."),
        ],
    )
    def test_report(self, world: World, tape: Any, options: Any, words: str) -> None:
        """Share filled, worst position, profit, and that it is no backtest."""
        run = self.run(world, tape, **options)
        send(world, 1, "AAA", "buy", 4, 101)
        send(world, 2, "AAA", "buy", 8, 101)
        console = make_console()
        with console.capture() as shown:
            console.print(run.report(take_snapshot(world.scripts)), width=120)
        text = " ".join(shown.get().split())
        assert "replay: 2 of 4 trades filled, 1 of them in part" in text
        assert "AAA 3 2 76.9 % -10 10.0 % " in text
        assert "The replay was stopped after 2 of 4 trades." in text
        assert "A replay is no backtest: the market of the tape did not react" in text
        assert words in text
        send(world, 4, "AAA", "buy", 1, 50)
        notes = run.report(take_snapshot(world.scripts)).notes
        assert not any("stopped" in note.plain for note in notes)
