"""The study of the flow: the quote rule earns from the default flow, and pays informed senders."""

from __future__ import annotations

from decimal import Decimal

import fakeredis
import pytest

from mm.lab.flow import Earned, FlowStudy, earned, flow_facts, flow_table
from mm.market import default_config
from mm.orders import FlowOptions
from mm.orders import flow as flow_module
from mm.store import Keys, Scripts
from mm.terminal import make_console

STUDY = FlowStudy(informed=(), seeds=3, orders=300, seed=1)


def empty() -> Scripts:
    """The scripts of a server without keys."""
    return Scripts(fakeredis.FakeStrictRedis(protocol=2), Keys(), shebang=False)


def at(informed: int, study: FlowStudy = STUDY) -> Earned:
    """What the rule earns at a share of informed senders."""
    return earned(study, default_config(), informed, empty)


@pytest.mark.slow
class TestShares:
    def test_earns_by_default(self) -> None:
        """At the default share the rule earns on average over the seeds."""
        default = at(FlowOptions().informed_percent)
        assert default.mean > 3
        assert 50 < default.filled_percent < 75

    def test_the_same_twice(self) -> None:
        """The same study gives the same profits."""
        small = FlowStudy(informed=(), seeds=1, orders=60, seed=4)
        assert at(50, small) == at(50, small)

    def test_loses_to_the_informed(self) -> None:
        """It loses to informed senders alone, with every seed."""
        assert max(at(100).profits) < -5

    def test_what_the_informed_know_decides(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """When informed senders know no more than the others, the loss is gone."""
        ignorant = flow_module._Source._noise
        monkeypatch.setattr(flow_module._Source, "_informed", ignorant)
        assert at(100).mean > 3


def test_shown() -> None:
    """The table and the JSON say the same of the same profits."""
    rows = [
        Earned(20, [Decimal("1.5"), Decimal("-0.5")], Decimal(4), 63),
        Earned(100, [Decimal(-9)], Decimal(1), 7),
    ]
    console = make_console()
    with console.capture() as shown:
        console.print(flow_table(rows, FlowStudy((20, 100), 2, 500, 1)))
    title, _, first, second = shown.get().splitlines()
    assert title == "profit of the quote rule per 1,000 orders: 2 seeds of 500 orders"
    assert " ".join(first.split()) == "20 % +0.50 +4.00 -3.50 1.41 -0.50 +1.50 63 %"
    assert " ".join(second.split()) == "100 % -9.00 +1.00 -10.00 0.00 -9.00 -9.00 7 %"
    assert flow_facts(rows)[0] == {
        "informed_percent": 20,
        "seeds": 2,
        "mean": "0.5000",
        "spread_earned": "4.0000",
        "inventory_profit": "-3.5000",
        "deviation": "1.4142",
        "least": "-0.5000",
        "most": "1.5000",
        "filled_percent": 63,
    }
