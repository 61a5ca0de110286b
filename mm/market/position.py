"""A committed position, and what one more fill makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from mm.market.numbers import MAX_INT

#: So many last trades are kept with a position.
KEEP_TRADES = 16


@dataclass(frozen=True)
class Trade:
    """A committed fill as a quote rule sees it: ``lots`` is the change of the maker's position."""

    lots: int
    ticks: int


class StoredTrades(Sequence[Trade]):
    """The trades in the text of a position's hash, read when somebody looks at them.

    Makers see a position for every quote, and most quote rules look at no trade.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._trades: tuple[Trade, ...] | None = None

    def _read(self) -> tuple[Trade, ...]:
        if self._trades is None:
            self._trades = trades_of(self._text)
        return self._trades

    def __len__(self) -> int:
        return len(self._read())

    @overload
    def __getitem__(self, index: int) -> Trade: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Trade, ...]: ...
    def __getitem__(self, index: int | slice) -> Trade | tuple[Trade, ...]:
        return self._read()[index]


@dataclass(frozen=True)
class Position:
    """A symbol's committed position.

    ``cash_ticks`` is the sum of -(signed lots x price_ticks). ``cost_ticks`` is what the open lots
    cost at average cost, in ticks x lots, with the sign of ``net_lots``. ``twice_spread_ticks`` is
    twice what the fills earned against the middles of the quotes that they hit, in ticks x lots
    (R29). The fair price that follows the trades is ``fair_ticks`` and ``fair_rest`` hundredths of
    a tick, 0 before the first trade. ``trades`` are the last ones, the newest last.
    """

    net_lots: int = 0
    cash_ticks: int = 0
    cost_ticks: int = 0
    position_version: int = 0
    last_price_ticks: int = 0
    twice_spread_ticks: int = 0
    fair_ticks: int = 0
    fair_rest: int = 0
    trades: Sequence[Trade] = ()

    def apply(
        self,
        signed_lots: int,
        price_ticks: int,
        spread_ticks: int | None = None,
        fair_weight: int = 100,
    ) -> Position:
        """The position after one more fill. The audit compares it with what ``commit.lua`` made.

        ``spread_ticks`` is that of the quote that was hit, None in a record of an earlier version,
        which earned no known spread and is not among the kept trades. ``fair_weight`` is the
        symbol's, in per cent.
        """
        net = self.net_lots + signed_lots
        if self.net_lots * signed_lots >= 0:
            cost = self.cost_ticks + signed_lots * price_ticks
        elif net * self.net_lots > 0:
            sign = 1 if net > 0 else -1
            cost = sign * (abs(self.cost_ticks) * abs(net) // abs(self.net_lots))
        else:
            cost = net * price_ticks
        earned, trades = self.twice_spread_ticks, self.trades
        if spread_ticks is not None:
            earned = min(earned + abs(signed_lots) * spread_ticks, MAX_INT)
            trades = (*trades[1 - KEEP_TRADES :], Trade(signed_lots, price_ticks))
        return Position(
            net,
            self.cash_ticks - signed_lots * price_ticks,
            cost,
            self.position_version + 1,
            price_ticks,
            earned,
            *self._fair_after(price_ticks, fair_weight),
            trades,
        )

    def _fair_after(self, price_ticks: int, weight: int) -> tuple[int, int]:
        """The fair price ``weight`` per cent of the way to a trade, to the nearest hundredth."""
        if self.fair_ticks == 0 or weight == 100:
            return price_ticks, 0
        hundredths = 100 * self.fair_ticks + self.fair_rest
        way = weight * (price_ticks - self.fair_ticks) - (self.fair_rest * weight + 50) // 100
        return divmod(hundredths + way, 100)

    @property
    def realised_ticks(self) -> int:
        """Profit of the closed lots, in ticks x lots."""
        return self.cash_ticks + self.cost_ticks

    def unrealised_ticks(self, mark_ticks: int) -> int:
        """Profit of the open lots at ``mark_ticks``, in ticks x lots."""
        return self.net_lots * mark_ticks - self.cost_ticks

    @property
    def trades_text(self) -> str:
        """The last trades as the position's hash holds them: ``lots ticks lots ticks ...``."""
        return " ".join(f"{trade.lots} {trade.ticks}" for trade in self.trades)


def trades_of(text: str) -> tuple[Trade, ...]:
    """The trades in such a text; ValueError when it is none."""
    words = [int(word) for word in text.split()]
    return tuple(Trade(*pair) for pair in zip(words[::2], words[1::2], strict=True))
