"""The positions and what they earned, as `mm positions` and the end of a run print them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from mm.facts import Mark, Profit, ProfitTrack, mark_of, profit_of, totals
from mm.instant import clock
from mm.store import Snapshot, SymbolState
from mm.terminal.columns import Column, FittedTable
from mm.terminal.draw import QUIET, grouped, signed
from mm.terminal.money import money_lines
from mm.terminal.tables import MARKS, cost_text, mark_text, signed_lots


class PositionsTable:
    """What was earned, then each symbol's committed position with its profit, then the totals.

    ``tracks`` are those of the position updates read, and ``updates`` their number; without any
    there is no drawdown.
    """

    def __init__(
        self, snapshot: Snapshot, tracks: Sequence[ProfitTrack] = (), updates: int = 0
    ) -> None:
        self._snapshot = snapshot
        self._tracks = tracks
        self._updates = updates

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        found = totals(self._snapshot)
        yield from money_lines(found, self._tracks, options.max_width)
        notes = [Text(MARKS, QUIET)]
        if self._updates:
            since = min(track.since_ms for track in self._tracks if track.since_ms)
            notes.append(
                Text(
                    f"The drawdown is that of the last {grouped(self._updates)} position updates,"
                    f" since {clock(since)}, each at the price of its fill.",
                    QUIET,
                )
            )
        yield FittedTable("Positions", self._columns(), notes)

    def _columns(self) -> list[Column]:
        states = list(self._snapshot.symbols.values())
        marks = [mark_of(state) for state in states]
        profits = [profit_of(state, mark) for state, mark in zip(states, marks, strict=True)]
        sums = totals(self._snapshot)
        names = [*map(Text, self._snapshot.symbols)]
        names += [Text(f"TOTAL {one.currency}".strip(), "bold") for one in sums]
        blanks = [Text() for _ in sums]

        def money(of: Callable[[Profit], str]) -> list[Text]:
            return [signed(of(one)) for one in [*profits, *sums]]

        def own(of: Callable[[SymbolState], Text]) -> list[Text]:
            return [*map(of, states), *blanks]

        return [
            Column("symbol", names, right=False),
            Column("net\nlots", own(lambda one: signed_lots(one.position.net_lots)), 2),
            Column("quantity", own(_quantity), 8),
            Column("average\ncost", own(cost_text), 4),
            Column("mark", [*_marked(states, marks), *blanks], 3, right=False),
            Column("realised", money(lambda one: one.realised), 7),
            Column("unrealised", money(lambda one: one.unrealised), 9),
            Column("spread\nearned", money(lambda one: one.spread), 5),
            Column("inventory", money(lambda one: one.inventory), 6),
            Column("profit", money(lambda one: one.total), 1),
            Column("position\nversion", own(_version), 10),
        ]


def _quantity(state: SymbolState) -> Text:
    return Text(state.symbol.quantity(state.position.net_lots))


def _version(state: SymbolState) -> Text:
    return Text(str(state.position.position_version))


def _marked(states: Sequence[SymbolState], marks: Sequence[Mark]) -> list[Text]:
    return [mark_text(state, mark) for state, mark in zip(states, marks, strict=True)]
