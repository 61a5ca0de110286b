"""The synthetic flow: the same on any machine, and fit for a market maker to trade with."""

from __future__ import annotations

from collections import Counter
from itertools import islice, pairwise
from typing import Any

import pytest

from mm.errors import ValueRefused
from mm.market import Position, default_config, follow_last
from mm.orders import FlowOptions, Intent, flow, synthetic_orders
from tests.kit import SEEDS


def take(count: int, **changes: Any) -> list[Intent]:
    """The first orders of a flow over the default symbols."""
    return list(islice(synthetic_orders(default_config().symbols, FlowOptions(**changes)), count))


def words(intents: list[Intent]) -> list[tuple[Any, ...]]:
    """The fields of orders, without their times."""
    return [(one.symbol, one.side, one.qty_lots, one.limit_ticks) for one in intents]


class TestFlow:
    def test_same_seed_same_flow(self) -> None:
        """The same seed gives the same flow, and another seed another one."""
        assert take(200, seed=7) == take(200, seed=7)
        assert words(take(200, seed=7)) != words(take(200, seed=8))

    def test_rate_changes_times_only(self) -> None:
        """The rate does not change the orders; at rate 0 all come at once."""
        slow, fast, at_once = (take(200, rate_per_s=rate) for rate in (10.0, 1000.0, 0.0))
        assert words(slow) == words(fast) == words(at_once)
        assert slow[-1].at_s == pytest.approx(100 * fast[-1].at_s)
        assert {one.at_s for one in at_once} == {0.0}

    def test_poisson_arrivals(self) -> None:
        """Arrivals are in order, have the rate on average, and spread like a Poisson process."""
        times = [one.at_s for one in take(4000, rate_per_s=100.0)]
        gaps = [b - a for a, b in pairwise(times)]
        assert min(gaps) >= 0
        mean = times[-1] / len(times)
        assert mean == pytest.approx(0.01, rel=0.1)
        # An exponential's standard deviation is its mean.
        assert (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5 == pytest.approx(
            mean, rel=0.15
        )

    def test_integers_on_both_sides(self) -> None:
        """Quantities and limits are positive integers, sides are even, sizes have their mean."""
        found = take(8000, size_percent=50)
        for one in found:
            assert type(one.qty_lots) is int
            assert type(one.limit_ticks) is int
            assert min(one.qty_lots, one.limit_ticks) >= 1
        sides = Counter(one.side for one in found)
        assert abs(sides["buy"] - sides["sell"]) < 400
        lots = [one.qty_lots for one in found if one.symbol == "AAPL"]
        mean = default_config().symbol("AAPL").size_lots // 2
        assert sum(lots) / len(lots) == pytest.approx(mean, rel=0.15)

    def test_weights(self) -> None:
        """Weights give symbols their shares; a symbol without a weight gets none."""
        counts = Counter(one.symbol for one in take(4000, weights={"AAPL": 3, "SPY": 1}))
        assert set(counts) == {"AAPL", "SPY"}
        assert counts["AAPL"] == pytest.approx(3000, rel=0.1)

    def test_noise_senders_know_only_the_reference(self) -> None:
        """Their limits lie beyond the reference, half as many at each further distance."""
        found = take(8000, informed_percent=0, weights={"TSLA": 1})
        tsla = default_config().symbol("TSLA")
        beyond = [
            (one.limit_ticks - tsla.reference_ticks) * (1 if one.side == "buy" else -1)
            for one in found
        ]
        assert min(beyond) == 0
        halving = 2 * tsla.spread_ticks / 3
        for times in (1, 2, 3):
            share = sum(one >= times * halving for one in beyond) / len(beyond)
            assert share == pytest.approx(0.5**times, rel=0.1)

    def test_informed_senders_follow_the_value(self) -> None:
        """They buy above the reference and sell below, and their limits walk with the value."""
        found = take(8000, informed_percent=100, weights={"TSLA": 1})
        tsla = default_config().symbol("TSLA")
        values = [one.limit_ticks + (1 if one.side == "buy" else -1) for one in found]
        for one, value in zip(found, values, strict=True):
            away = value - tsla.reference_ticks
            assert away == 0 or (away > 0) == (one.side == "buy")
        longest = tsla.spread_ticks + max(abs(v - tsla.reference_ticks) for v in values) // 64 + 1
        assert max(abs(b - a) for a, b in pairwise(values)) <= longest
        spread = (sum((v - tsla.reference_ticks) ** 2 for v in values) / len(values)) ** 0.5
        assert 2 < spread / tsla.spread_ticks < 5

    @pytest.mark.parametrize("percent", [0, 25, 100])
    def test_share_of_the_informed(self, monkeypatch: pytest.MonkeyPatch, percent: int) -> None:
        """So many of the orders are of informed senders."""
        informed = []

        def counting(source: Any, rng: Any) -> Any:
            informed.append(source)
            return kept(source, rng)

        kept = flow._Source._informed
        monkeypatch.setattr(flow._Source, "_informed", counting)
        take(4000, informed_percent=percent)
        assert len(informed) == pytest.approx(40 * percent, rel=0.1)

    @pytest.mark.parametrize(
        "options",
        [
            {"rate_per_s": -1.0},
            {"rate_per_s": float("nan")},
            {"seed": -1},
            {"size_percent": 0},
            {"aggressiveness_percent": -1},
            {"informed_percent": -1},
            {"informed_percent": 101},
            {"weights": {"AAPL": -1}},
            {"weights": {"AAPL": 0}},
            {"weights": {"NONE": 1}},
            {"weights": {}},
        ],
        ids=str,
    )
    def test_refused(self, options: dict[str, Any]) -> None:
        """Bad options are refused before the first order."""
        with pytest.raises(ValueRefused):
            take(1, **options)

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", SEEDS)
    def test_long_run(self, seed: int) -> None:
        """Most orders cross but not all, prices stay near the reference, positions come back.

        A maker without delay is modelled round the shipped quote rule.
        """
        config = default_config()
        positions = dict.fromkeys((symbol.name for symbol in config.symbols), Position())
        crossed = 0
        count = 40_000
        for one in take(count, seed=seed):
            symbol, position = config.symbol(one.symbol), positions[one.symbol]
            quote = follow_last(position, symbol)
            lots = min(one.qty_lots, symbol.size_lots)
            if one.side == "buy" and one.limit_ticks >= quote.ask_ticks:
                position = position.apply(-lots, quote.ask_ticks)
            elif one.side == "sell" and one.limit_ticks <= quote.bid_ticks:
                position = position.apply(lots, quote.bid_ticks)
            crossed += position is not positions[one.symbol]
            positions[one.symbol] = position
            assert abs(position.net_lots) < symbol.position_limit_lots
            away = (position.last_price_ticks or symbol.reference_ticks) - symbol.reference_ticks
            assert abs(away) < 40 * symbol.spread_ticks
        assert 0.5 < crossed / count < 0.95
