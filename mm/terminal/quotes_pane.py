"""The upper panes of the live view: exposure, waiting queues, quotes and positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

from rich.text import Text

from mm.facts import half_price, mark_of, number, profit_of, symbol_count
from mm.store import Snapshot, SymbolState
from mm.terminal.draw import (
    QUIET,
    WARN,
    Column,
    bar,
    cut,
    duration,
    fitted,
    grouped,
    plain,
    rule,
    signed,
    thin_bar,
)
from mm.terminal.tables import bar_style, names, none, outcome_text, signed_lots

#: From this width on there is room for what is merely good to know.
WIDE = 120
#: Cells of a budget's bar at most.
LONGEST_BAR = 50


def exposure_lines(snapshot: Snapshot, width: int) -> list[Text]:
    """Both budgets as bars against the limit: in one line where that fits, else in two."""
    limit = number(snapshot.exposure, "limit_units")
    used = {"long": number(snapshot.exposure, "bid_units")}
    used["short"] = number(snapshot.exposure, "ask_units")
    said = {side: f" {grouped(units)} of {grouped(limit)}" for side, units in used.items()}
    half = (width - 2) // 2
    cells = min(half - max(len(f"{side} {text}") for side, text in said.items()), LONGEST_BAR)
    one_line = cells >= 8
    if not one_line:
        cells = max(width - max(len(f"short {text}") for text in said.values()), 1)
    lines = []
    for side, units in used.items():
        line = Text.assemble((f"{side:<5} " if not one_line else f"{side} ", "bold"))
        line.append_text(bar(units, limit, cells, bar_style(units, limit)))
        line.append(said[side])
        lines.append(line)
    if one_line:
        lines[0].pad_right(half + 2 - lines[0].cell_len)
        lines = [lines[0].append_text(lines[1])]
    return [cut(line, width) for line in lines]


def waiting_line(snapshot: Snapshot, width: int) -> Text:
    """Who waits for exposure, first in turn first."""
    most = max(2, width // 24)
    line = Text.assemble(("waiting for long ", QUIET), names(list(snapshot.waiting_bid), most))
    line.append("  for short ", QUIET).append(names(list(snapshot.waiting_ask), most))
    return cut(line, width)


def _price(state: SymbolState, quote: Mapping[str, str], side: str) -> Text:
    if not number(quote, f"{side}_size_lots"):
        return none()
    empty = number(quote, f"{side}_lots") == 0
    return Text(state.symbol.price(number(quote, f"{side}_ticks")), QUIET if empty else "bold")


def _lots(quote: Mapping[str, str], side: str, placed: bool) -> Text:
    size, lots = number(quote, f"{side}_size_lots"), number(quote, f"{side}_lots")
    if not size:
        return none()
    text = Text(str(lots), QUIET if lots == 0 else "cyan")
    return text.append(f"/{size}", QUIET) if placed else text


def _ttl(snapshot: Snapshot, quote: Mapping[str, str], cells: int, seconds: bool) -> Text:
    if not quote:
        return none()
    left = number(quote, "expires_ms") - snapshot.now_ms
    ttl, refresh = snapshot.config.quote_ttl_ms, snapshot.config.refresh_ms
    text = thin_bar(left, ttl, cells, WARN if left <= refresh else "cyan")
    return text.append(f" {left // 1000:>2} s") if seconds else text


def _joined(left: list[Text], right: list[Text], width_left: int, width_right: int) -> list[Text]:
    """Two columns of text made into one, both right-aligned, one space apart."""
    joined = []
    for one, other in zip(left, right, strict=True):
        cell = Text(" " * (width_left - one.cell_len)).append_text(one)
        cell.append(" " * (1 + width_right - other.cell_len)).append_text(other)
        joined.append(cell)
    return joined


def _side(
    states: Sequence[SymbolState], quotes: Sequence[Mapping[str, str]], side: str, placed: bool
) -> Column:
    """One side of the quotes, price towards the middle: ``lots bid`` and ``ask lots``."""
    lots = [_lots(quote, side, placed) for quote in quotes]
    prices = [_price(state, quote, side) for state, quote in zip(states, quotes, strict=True)]
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
    now, wide = snapshot.now_ms, width >= WIDE
    quotes = [state.live_quote(now) for state in states]
    marks = [mark_of(state, now) for state in states]
    profits = [profit_of(state, mark) for state, mark in zip(states, marks, strict=True)]
    pairs = list(zip(states, quotes, strict=True))
    bar_cells = 4 if not wide else min(8 + (width - WIDE) // 8, 16)
    return [
        Column("symbol", [Text(state.symbol.name, "bold") for state in states], right=False),
        Column("placed", [outcome_text(state) for state in states], 3, right=False),
        _side(states, quotes, "bid", wide),
        _side(states, quotes, "ask", wide),
        Column("ttl", [_ttl(snapshot, quote, bar_cells, wide) for quote in quotes], 5, right=False),
        Column("net", [signed_lots(state.position.net_lots) for state in states], 4),
        Column(
            "quantity",
            [Text(state.symbol.quantity(state.position.net_lots), QUIET) for state in states],
            12,
        ),
        Column(
            "mark",
            [
                Text(half_price(state.symbol, mark.twice_ticks))
                for state, mark in zip(states, marks, strict=True)
            ],
            10,
        ),
        Column("realised", [signed(one.realised) for one in profits], 6),
        Column("unrealised" if wide else "unreal.", [signed(one.unrealised) for one in profits], 7),
        Column("position" if wide else "pv", [_position_version(one) for one in states], 8),
        Column(
            "quote" if wide else "qv",
            [Text(str(number(one.state, "quote_version"))) for one in states],
            9,
        ),
        Column(
            "maker",
            [Text(plain(quote.get("maker_id", "-")), QUIET) for _, quote in pairs],
            11,
            right=False,
        ),
    ]


def _position_version(state: SymbolState) -> Text:
    """The committed version; yellow with ``+n`` while n fills are not committed yet."""
    version = state.position.position_version
    text = Text(str(version))
    ahead = state.fill_seq - version
    return text.append(f"+{ahead}", WARN) if ahead > 0 else text


def symbols_lines(snapshot: Snapshot) -> int:
    """How many lines :func:`symbols_pane` would like: rule, titles, symbols, how many more."""
    shown = len(snapshot.symbols)
    return 2 + shown + (symbol_count(snapshot) > shown)


def symbols_pane(snapshot: Snapshot, width: int, height: int) -> list[Text]:
    """The first symbols that fit, one a line, under titles; how many more there are.

    It takes 3 lines at least; with fewer than 7 it goes without a rule.
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
