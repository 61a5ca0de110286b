"""Which symbols a screen shows where there is no room for all of them."""

from __future__ import annotations

from mm.store import Snapshot, SymbolState


class Rows:
    """The symbols on the lines of a screen. A symbol keeps its line while it is quoted.

    Where all symbols fit they stand in the order of the configuration. Otherwise halted symbols,
    those with a mode of their own and those with an active quote come first. Any
    other one gives its line to one of these that waits for a line.
    """

    def __init__(self) -> None:
        self._shown: list[str] = []

    def choose(self, snapshot: Snapshot, count: int) -> list[SymbolState]:
        """The symbols for ``count`` lines, from top to bottom."""
        symbols = snapshot.symbols
        if count >= len(symbols):
            self._shown = list(symbols)
            return list(symbols.values())
        urgent = [name for name in symbols if _is_urgent(snapshot, name)]
        kept = [name if name in symbols else "" for name in self._shown[:count]]
        kept += [""] * (count - len(kept))
        spare = iter([name for name in urgent if name not in kept])
        lines = [
            name if name in symbols and _is_urgent(snapshot, name) else next(spare, name)
            for name in kept
        ]
        rest = iter([name for name in symbols if name not in lines])
        self._shown = [name or next(rest) for name in lines]
        return [symbols[name] for name in self._shown]


def _is_urgent(snapshot: Snapshot, name: str) -> bool:
    """Whether it is quoted, or somebody or something has changed whether it is."""
    state = snapshot.symbols[name]
    has_mode = state.control.mode != "active" and not state.closed
    return bool(state.halted or state.frozen) or has_mode or state.quote is not None
