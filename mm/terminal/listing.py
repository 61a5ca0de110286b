"""The symbols of the live view in their order, and which of them stand on its lines."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from mm.facts import mark_of, profit_of
from mm.store import Snapshot, SymbolState
from mm.terminal.keys import ViewState, matches
from mm.terminal.rows import Rows

#: The activity of a symbol is how many fills it had in this time, counted every so often.
ACTIVITY_MS, COUNTED_MS = 60_000, 5_000
#: An order by numbers that change holds for so long: lines that jump cannot be read.
SORTED_MS = 2_000


@dataclass
class Activity:
    """The fills of each symbol within about a minute before the last snapshot."""

    _counts: deque[tuple[int, dict[str, int]]] = field(default_factory=deque)

    def add(self, snapshot: Snapshot) -> None:
        """Remember how many fills each symbol has had."""
        now = snapshot.now_ms
        if self._counts and now < self._counts[-1][0]:
            self._counts.clear()
        if self._counts and now - self._counts[-1][0] < COUNTED_MS:
            return
        self._counts.append((now, {name: one.fill_seq for name, one in snapshot.symbols.items()}))
        while now - self._counts[0][0] > ACTIVITY_MS:
            self._counts.popleft()

    def of(self, name: str, state: SymbolState) -> int:
        """How many fills a symbol had; all of them while the view is new."""
        if len(self._counts) < 2:
            return state.fill_seq
        return state.fill_seq - self._counts[0][1].get(name, state.fill_seq)


@dataclass
class Listing:
    """The order of the symbols and the part of it that is on the screen.

    ``names`` are the symbols that the filter leaves, in their order. ``lines`` of them have a line,
    from the one at ``top`` on.
    """

    names: list[str] = field(default_factory=list)
    lines: int = 0
    top: int = 0
    activity: Activity = field(default_factory=Activity)
    _rows: Rows = field(default_factory=Rows)
    _sorted: tuple[int, ViewState, list[str]] | None = None

    def choose(self, snapshot: Snapshot, count: int, view: ViewState) -> list[SymbolState]:
        """The symbols for ``count`` lines, from top to bottom; the chosen one is among them."""
        self.names = [
            name for name in self._order(snapshot, count, view) if matches(name, view.filter)
        ]
        self.lines = count
        if view.symbol in self.names:
            at = self.names.index(view.symbol)
            self.top = min(max(self.top, at - count + 1), at)
        else:
            self.top = 0
        self.top = max(min(self.top, len(self.names) - count), 0)
        return [snapshot.symbols[name] for name in self.names[self.top : self.top + count]]

    def _order(self, snapshot: Snapshot, count: int, view: ViewState) -> list[str]:
        symbols = snapshot.symbols
        if view.sort == "configured":
            shown = [one.symbol.name for one in self._rows.choose(snapshot, count)]
            first = set(shown)
            return shown + [name for name in symbols if name not in first]
        if self._sorted is not None:
            at_ms, sorted_for, names = self._sorted
            fresh = 0 <= snapshot.now_ms - at_ms < SORTED_MS and view.sort == sorted_for.sort
            if fresh and len(names) == len(symbols) and symbols.keys() == set(names):
                return names
        names = sorted(symbols, key=lambda name: self._key(view.sort)(name, symbols[name]))
        self._sorted = (snapshot.now_ms, view, names)
        return names

    def _key(self, sort: str) -> Callable[[str, SymbolState], tuple[Decimal | int, str]]:
        """Sort key: the largest first, and equal ones by name."""
        keys: dict[str, Callable[[str, SymbolState], Decimal | int]] = {
            "activity": lambda name, state: -self.activity.of(name, state),
            "net": lambda name, state: -abs(state.position.net_lots),
            "profit": lambda name, state: -Decimal(profit_of(state, mark_of(state)).total),
            "name": lambda name, state: 0,
        }
        return lambda name, state: (keys[sort](name, state), name)
