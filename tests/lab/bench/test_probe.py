"""The probe: what it takes for the report, the position and the quote of an order."""

from __future__ import annotations

import pytest

from mm.lab.bench.figure import Result
from mm.lab.bench.load import Orders, PipelinedConnection, encode
from mm.lab.bench.probe import CLIENT, Probe, VersionTimes
from mm.lab.bench.world import World, bench_config
from mm.store import execute


class TestVersionTimes:
    def test_a_later_version_answers_all_before(self) -> None:
        """Fills 3 and 4 are in version 4: both wait for it, and fill 5 for a later one."""
        times = VersionTimes()
        times.reached("A", 2, 0.0)
        for version, sent in ((3, 1.0), (4, 2.0), (5, 3.0)):
            times.expect("A", version, sent, sent)
        assert (times.seconds, times.waiting) == ([], 3)
        times.reached("A", 4, 10.0)
        assert (times.seconds, times.waiting) == ([9.0, 8.0], 1)

    def test_a_version_that_came_before_the_report(self) -> None:
        """Its order is complete when the report comes."""
        times = VersionTimes()
        times.reached("A", 7, 1.0)
        times.expect("A", 7, 0.5, 2.0)
        assert (times.seconds, times.waiting) == ([1.5], 0)

    def test_symbols_are_apart(self) -> None:
        """A version of one symbol answers no order of another."""
        times = VersionTimes()
        times.expect("A", 1, 0.0, 0.0)
        times.reached("B", 1, 1.0)
        assert times.waiting == 1


@pytest.mark.server
class TestProbe:
    def test_each_time_ends_with_its_own_step(self) -> None:
        """Match makes the report, commit the position; only a placement after both is the quote."""
        with World(Result(), "probe", bench_config(2, 1_000)) as world:
            world.quote_all(100)
            probe = Probe(world)
            supply = Orders(world.config.symbols, CLIENT, "r", 1)
            probe.send(supply.entries(3, world.orders_key), 0.0)
            while execute(world.scripts.client, "XLEN", world.orders_key) < 3:
                probe.listen(0.01)
            assert counts(probe) == (0, 0, 0)
            world.match_all()
            assert counts(probe) == (3, 0, 0)
            world.commit_all()
            assert counts(probe) == (3, 3, 0)
            before = probe.settled
            world.quote_all(100)
            assert counts(probe) == (3, 3, 3)
            assert (before, probe.settled) == (False, True)
            probe.close()

    @pytest.mark.parametrize(
        ("event", "version", "answers"),
        [("active", 1, 1), ("active", 2, 1), ("active", 0, 0), ("expired", 1, 0)],
    )
    def test_only_an_active_quote_of_the_version_answers(
        self, event: str, version: int, answers: int
    ) -> None:
        """An older position's quote answers no order, nor does the end of a quote."""
        with World(Result(), "probe", bench_config(1, 1_000), audited=False) as world:
            world.quote_all(100)
            probe = Probe(world)
            (entry,) = Orders(world.config.symbols, CLIENT, "r", 1).entries(1, world.orders_key)
            probe.send([entry], 0.0)
            while world.end_of(world.orders_key) == "0-0":
                probe.listen(0.01)
            world.match_all()
            fields: list[str | int] = [
                "event",
                event,
                "symbol",
                "S00000",
                "position_version",
                version,
            ]
            execute(world.scripts.client, "XADD", world.keys.named("quotes"), "*", *fields)
            assert counts(probe) == (1, 0, answers)
            probe.close()

    def test_an_order_that_does_not_fill_waits_for_its_report_only(self) -> None:
        """Without a quote there is no fill, so no position and no quote follow."""
        with World(Result(), "probe", bench_config(1, 1_000)) as world:
            probe = Probe(world)
            (entry,) = Orders(world.config.symbols, CLIENT, "r", 1).entries(1, world.orders_key)
            probe.send([entry], 0.0)
            while world.end_of(world.orders_key) == "0-0":
                probe.listen(0.01)
            world.match_all()
            assert counts(probe) == (1, 0, 0)
            assert probe.settled
            probe.close()


def counts(probe: Probe) -> tuple[int, int, int]:
    """How many reports, positions and quotes have come, once no more are on their way."""
    for _ in range(5):
        probe.listen(0.05)
    return len(probe.to_report), len(probe.to_position), len(probe.to_quote)


@pytest.mark.server
def test_a_first_reply_that_is_an_error_ends_the_wait() -> None:
    """A refused entry is an error, also where no reply has come before it."""
    with World(Result(), "errors", bench_config(1, 1_000), audited=False) as world:
        connection = PipelinedConnection(world.socket)
        connection.put(encode(["XADD", world.orders_key]))
        with pytest.raises(ConnectionError, match="1 of the entries were refused"):
            connection.finish(1)
        connection.close()
