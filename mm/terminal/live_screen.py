"""The live view with keys: the market, the page of a symbol or the help, above the key lines."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from mm.store import Snapshot
from mm.terminal.history import History
from mm.terminal.key_lines import help_page, key_lines
from mm.terminal.keys import ViewState
from mm.terminal.screen import RunStatus, alert_lines, market_screen, title_line
from mm.terminal.symbol_page import symbol_page
from mm.terminal.symbol_source import SymbolPast

#: With fewer lines there is no room for keys, unless something is typed or answered.
KEYS_FROM = 8


def live_screen(
    snapshot: Snapshot,
    history: History,
    status: RunStatus,
    width: int,
    height: int,
    view: ViewState,
    past: SymbolPast | None = None,
    who: str = "",
) -> RenderableType:
    """What a person has chosen to see, in ``height`` lines of at most ``width`` cells.

    ``past`` is that of the symbol whose page is open. ``who`` is the operator as which modes are
    changed, empty text where they cannot be.
    """
    below = key_lines(snapshot, view, width, who)
    if height < KEYS_FROM and not (view.typing or view.message):
        below = []
    below = below[-height:]
    height -= len(below)
    if not view.help and not view.page:
        market = market_screen(snapshot, history, status, width, height, view)
        assert isinstance(market, Group)
        lines = [*market.renderables]
    else:
        lines = [title_line(snapshot, status, width)]
        if view.page and not view.help:
            lines += alert_lines(snapshot, status, width, max(1, height // 12), False)
        room = height - len(lines)
        if view.help:
            lines += help_page(bool(who), width, room)
        else:
            lines += symbol_page(snapshot, view.symbol, past, width, room)
    blank = [Text()] * (height - len(lines))
    return Group(*lines[: max(height, 0)], *blank, *below)
