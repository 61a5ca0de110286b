"""The upper panes of the live view: exposure, waiting queues, quotes and positions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from rich.text import Text

from mm.facts import budgets, mark_of, mark_price, profit_of, symbol_count
from mm.store import LiveQuote, QuoteSide, SideName, Snapshot, SymbolState
from mm.terminal.draw import (
    QUIET,
    WARN,
    Column,
    cut,
    duration,
    fitted,
    grouped,
    plain,
    rule,
    signed,
    thin_bar,
)
from mm.terminal.tables import budget_bar, names, none, outcome_text, signed_lots

#: From this width on there is room for the less important columns.
WIDE = 120
#: The longest bar of a budget, in cells.
MAX_BAR = 50


def exposure_lines(snapshot: Snapshot, width: int) -> list[Text]:
    """Both budgets as bars against the limit: in one line where they fit, else in two."""
    both = budgets(snapshot)
    numbers = [f" {grouped(one.used_units)} of {grouped(one.limit_units)}" for one in both]
    half = (width - 2) // 2
    longest = max(len(f"{one.name} {text}") for one, text in zip(both, numbers, strict=True))
    cells = min(half - longest, MAX_BAR)
    one_line = cells >= 8
    if not one_line:
        cells = max(width - max(len(f"short {text}") for text in numbers), 1)
    lines = []
    for budget, text in zip(both, numbers, strict=True):
        line = Text.assemble((f"{budget.name} " if one_line else f"{budget.name:<5} ", "bold"))
        line.append_text(budget_bar(budget, cells))
        line.append(text)
        lines.append(line)
    if one_line:
        lines[0].pad_right(half + 2 - lines[0].cell_len)
        lines = [lines[0].append_text(lines[1])]
    return [cut(line, width) for line in lines]


def waiting_line(snapshot: Snapshot, width: int) -> Text:
    """The symbols that wait for exposure, the first in turn first."""
    long, short = budgets(snapshot)
    max_names = max(2, width // 24)
    line = Text.assemble(("waiting for long ", QUIET), names(long.waiting, max_names))
    line.append("  for short ", QUIET).append(names(short.waiting, max_names))
    return cut(line, width)


def _price(state: SymbolState, side: QuoteSide | None) -> Text:
    if side is None or not side.size_lots:
        return none()
    return Text(state.symbol.price(side.ticks), "bold" if side.lots else QUIET)


def _lots(side: QuoteSide | None, with_size: bool) -> Text:
    if side is None or not side.size_lots:
        return none()
    text = Text(str(side.lots), "cyan" if side.lots else QUIET)
    return text.append(f"/{side.size_lots}", QUIET) if with_size else text


def _ttl(snapshot: Snapshot, quote: LiveQuote | None, cells: int, seconds: bool) -> Text:
    if quote is None:
        return none()
    left = quote.expires_ms - snapshot.now_ms
    ttl, refresh = snapshot.config.quote_ttl_ms, snapshot.config.refresh_ms
    text = thin_bar(left, ttl, cells, WARN if left <= refresh else "cyan")
    return text.append(f" {left // 1000:>2} s") if seconds else text


def _joined(left: list[Text], right: list[Text], width_left: int, width_right: int) -> list[Text]:
    """Two columns of text as one, both right-aligned, one space apart."""
    joined = []
    for one, other in zip(left, right, strict=True):
        cell = Text(" " * (width_left - one.cell_len)).append_text(one)
        cell.append(" " * (1 + width_right - other.cell_len)).append_text(other)
        joined.append(cell)
    return joined


def _side(states: Sequence[SymbolState], side: SideName, with_sizes: bool) -> Column:
    """One side of the quotes, prices towards the middle: ``lots bid`` and ``ask lots``."""
    sides = [state.quote.side(side) if state.quote else None for state in states]
    lots = [_lots(one, with_sizes) for one in sides]
    prices = [_price(state, one) for state, one in zip(states, sides, strict=True)]
    wide_lots = max((cell.cell_len for cell in lots), default=0)
    wide_price = max((cell.cell_len for cell in prices), default=0)
    wide_price = max(wide_price, len(f"lots {side}") - wide_lots - 1)
    if side == "bid":
        title = "lots" + "bid".rjust(wide_lots + 1 + wide_price - len("lots"))
        return Column(title, _joined(lots, prices, wide_lots, wide_price), 1)
    title = "ask" + "lots".rjust(wide_lots + 1 + wide_price - len("ask"))
    padded = [price.copy() for price in prices]
    for price in padded:
        price.pad_right(wide_price - price.cell_len)
    return Column(title, _joined(padded, lots, wide_price, wide_lots), 2)


def _symbol_columns(snapshot: Snapshot, states: Sequence[SymbolState], width: int) -> list[Column]:
    wide = width >= WIDE
    quotes = [state.quote for state in states]
    marks = [(state, mark_of(state)) for state in states]
    profits = [profit_of(state, mark) for state, mark in marks]
    bar_cells = 4 if not wide else min(8 + (width - WIDE) // 8, 16)
    return [
        Column("symbol", [Text(state.symbol.name, "bold") for state in states], right=False),
        Column("placed", [outcome_text(state) for state in states], 3, right=False),
        _side(states, "bid", wide),
        _side(states, "ask", wide),
        Column("ttl", [_ttl(snapshot, quote, bar_cells, wide) for quote in quotes], 5, right=False),
        Column("net", [signed_lots(state.position.net_lots) for state in states], 4),
        Column(
            "quantity",
            [Text(state.symbol.quantity(state.position.net_lots), QUIET) for state in states],
            12,
        ),
        Column("mark", [Text(mark_price(state.symbol, mark)) for state, mark in marks], 10),
        Column("realised", [signed(one.realised) for one in profits], 6),
        Column("unrealised" if wide else "unreal.", [signed(one.unrealised) for one in profits], 7),
        Column("position" if wide else "pv", [_position_version(one) for one in states], 8),
        Column(
            "quote" if wide else "qv",
            [Text(str(one.quote_version)) for one in states],
            9,
        ),
        Column(
            "maker",
            [Text(plain(quote.maker_id if quote else "-"), QUIET) for quote in quotes],
            11,
            right=False,
        ),
    ]


def _position_version(state: SymbolState) -> Text:
    """The committed version, followed by a yellow ``+n`` while n fills are not yet committed."""
    version = state.position.position_version
    text = Text(str(version))
    ahead = state.fill_seq - version
    return text.append(f"+{ahead}", WARN) if ahead > 0 else text


def symbols_lines(snapshot: Snapshot) -> int:
    """How many lines :func:`symbols_pane` needs for all: rule, titles, symbols, how many more."""
    shown = len(snapshot.symbols)
    return 2 + shown + (symbol_count(snapshot) > shown)


def symbols_pane(snapshot: Snapshot, width: int, height: int) -> list[Text]:
    """The first symbols that fit, one on each line, under titles, and how many more there are.

    ``height`` must be 3 at least; below 7 the pane has no rule.
    """
    pane: list[Text] = []
    if height >= 7:
        note = (
            "sizes: lots remaining/placed" if width >= WIDE else "pv, qv: position, quote version"
        )
        pane.append(rule("quotes and positions", width, note))
        height -= 1
    total, rows = symbol_count(snapshot), min(height - 1, len(snapshot.symbols))
    if rows < total:
        rows = min(height - 2, rows)
    states = list(islice(snapshot.symbols.values(), rows))
    pane += fitted(_symbol_columns(snapshot, states, width), width)
    if rows < total:
        pane.append(cut(Text(f"and {grouped(total - rows)} more symbols", "italic"), width))
    return pane


def lag_words(snapshot: Snapshot) -> str:
    """Both lags in words."""
    return " ".join(f"{name} {duration(ms)}" for name, ms in snapshot.lag_ms.items())
