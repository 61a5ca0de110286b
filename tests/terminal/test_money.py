"""The line of money: what it says first, and what it leaves out where there is little room."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mm.facts import ProfitTrack, Total
from mm.facts.profit import Purse
from mm.terminal import History, market_screen
from mm.terminal.money import money_lines
from tests.kit import Fake, World, small_config
from tests.terminal.drawing import STATUS, drawn, take

ONE = Total("1.00", "0.50", "1.50", "4.20", "-2.70", "USD")


def track(points: int) -> ProfitTrack:
    """A course that falls by 3.10 and comes back."""
    made = ProfitTrack(Purse("USD", Decimal("0.01"), {}))
    for at in range(points):
        made.add(at, 0 if at % 5 else 310)
    return made


@pytest.mark.parametrize(
    ("width", "says"),
    [
        (14, "profit +1.50 …"),
        (18, "profit +1.50 USD"),
        (50, "profit +1.50 USD = spread +4.20 + inventory -2.70"),
        (70, "profit +1.50 USD = spread +4.20 + inventory -2.70   drawdown 3.10"),
        (75, "profit +1.50 USD = spread +4.20 + inventory -2.70   largest drawdown 3.10"),
    ],
)
def test_what_fits(width: int, says: str) -> None:
    """Total first, then its parts, then the drawdown; only the very first part is cut."""
    (line,) = money_lines([ONE], [track(4)], width)
    assert line.plain == says and line.cell_len <= width


def test_history() -> None:
    """The last part is a small history, as wide as there is room, 40 cells at most."""
    (line,) = money_lines([ONE], [track(400)], 100)
    assert line.plain.endswith("drawdown 3.10   " + line.plain[-24:]) and line.cell_len == 100
    assert set(line.plain[-24:]) <= {"▁", "█"}
    (line,) = money_lines([ONE], [track(400)], 300)
    assert len(line.plain.rpartition("   ")[2]) == 40


def test_currencies_have_a_line_each() -> None:
    """Two currencies are never added; without a name of one there is only the number."""
    lines = money_lines([ONE, Total("0", "0", "-7.00", "0.00", "-7.00", "EUR")], [], 120)
    assert [line.plain for line in lines] == [
        "profit +1.50 USD = spread +4.20 + inventory -2.70",
        "profit -7.00 EUR = spread 0.00 + inventory -7.00",
    ]
    (line,) = money_lines([Total("0", "0", "1.00", "2.00", "-1.00")], [], 120)
    assert line.plain == "profit +1.00 = spread +2.00 + inventory -1.00"


def test_it_is_the_first_line_of_the_view(fake: Fake) -> None:
    """Money comes first, as soon as there is room for more than the title."""
    world = World(fake, small_config(2, currency="USD"))
    world.propose("AAA", bid=98, ask=105)
    world.trade(world.order("sell", 4, 98))
    world.scripts.commit(10)
    assert take(world).symbols["AAA"].position.net_lots == 4
    history, found = History(), take(world)
    history.add(found)
    first, second, *_ = drawn(market_screen(found, history, STATUS, 80, 24), 80)
    assert first == "profit +0.14 USD = spread +0.14 + inventory 0.00   largest drawdown 0.00"
    assert STATUS.server in second
