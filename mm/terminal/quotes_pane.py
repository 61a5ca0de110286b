"""The upper panes of the live view: exposure, waiting queues, quotes and positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.text import Text

from mm.facts import Budget, budgets, mark_of, profit_of, symbol_count
from mm.store import LiveQuote, QuoteSide, Snapshot, SymbolState
from mm.terminal.columns import Column, Widths, choose, left_out, lines_of
from mm.terminal.draw import (
    QUIET,
    WARN,
    cut,
    duration,
    grouped,
    grouped_decimal,
    parts_line,
    plain,
    rule,
    signed,
    thin_bar,
)
from mm.terminal.keys import SORT_WORDS, SORTS, ViewState
from mm.terminal.listing import Listing
from mm.terminal.tables import (
    budget_bar,
    cost_text,
    lag_style,
    mark_text,
    names,
    none,
    outcome_text,
    price_text,
    signed_lots,
)

#: From this width on the less important columns are shown where they fit, and from the second one
#: on all titles are in full.
WIDE, WIDEST = 120, 170
#: The longest bar of a budget, in cells.
MAX_BAR = 50


@dataclass
class Layout:
    """What keeps columns and lines in their places from one frame to the next."""

    widths: Widths = field(default_factory=Widths)
    listing: Listing = field(default_factory=Listing)


def exposure_lines(snapshot: Snapshot, width: int) -> list[Text]:
    """Both budgets as bars against the limit: in one line where they fit, else in two."""
    both = budgets(snapshot)
    config = snapshot.config

    def amount(units: int) -> str:
        return grouped_decimal(config.exposure_amount(units))

    of = f" {config.currency}" if config.counts_money else ""
    numbers = [f" {amount(one.used_units)} of {amount(one.limit_units)}{of}" for one in both]
    half = (width - 2) // 2
    longest = max(len(f"{one.name} {text}") for one, text in zip(both, numbers, strict=True))
    cells = min(half - longest, MAX_BAR)
    if cells >= 8:
        pair = [_budget_line(*one, cells, 0) for one in zip(both, numbers, strict=True)]
        pair[0].pad_right(half + 2 - pair[0].cell_len)
        return [cut(pair[0].append_text(pair[1]), width)]
    if longest + 2 > width:
        numbers = [f" {amount(one.used_units)}{of}" for one in both]
    cells = max(width - max(len(f"short {text}") for text in numbers), 1)
    return [cut(_budget_line(*one, cells, 5), width) for one in zip(both, numbers, strict=True)]


def _budget_line(budget: Budget, numbers: str, cells: int, name_width: int) -> Text:
    line = Text.assemble((f"{budget.name:<{name_width}} ", "bold"))
    return line.append_text(budget_bar(budget, cells)).append(numbers)


def waiting_line(snapshot: Snapshot, width: int) -> Text:
    """The symbols that wait for exposure, the first in turn first, or only how many they are."""
    long, short = budgets(snapshot)
    for max_names in range(max(2, width // 24), 0, -1):
        line = Text.assemble(("waiting for long ", QUIET), names(long.waiting, max_names))
        line.append("  for short ", QUIET).append(names(short.waiting, max_names))
        if line.cell_len <= width:
            return cut(line, width)
    counts = f"{len(long.waiting)} wait for long, {len(short.waiting)} for short"
    return cut(Text(counts, QUIET), width)


def _price(state: SymbolState, side: QuoteSide | None) -> Text:
    text = price_text(state, side)
    if side is not None and side.size_lots:
        text.stylize("bold" if side.lots else QUIET)
    return text


def _lots(side: QuoteSide | None, with_size: bool) -> Text:
    if side is None or not side.size_lots:
        return none()
    text = Text(str(side.lots), "cyan" if side.lots else QUIET)
    return text.append(f"/{side.size_lots}", QUIET) if with_size else text


def _ttl(snapshot: Snapshot, quote: LiveQuote | None, cells: int, seconds: bool) -> Text:
    """The time that a quote has left; amber when its renewal is overdue."""
    if quote is None:
        return none()
    left = quote.expires_ms - snapshot.now_ms
    ttl, refresh = snapshot.config.quote_ttl_ms, snapshot.config.refresh_ms
    text = thin_bar(left, ttl, cells, WARN if 2 * left < refresh else "cyan")
    return text.append(f" {left // 1000:>2} s") if seconds else text


def _quote_columns(snapshot: Snapshot, states: Sequence[SymbolState], wide: bool) -> list[Column]:
    quotes = [state.quote for state in states]
    bids = [quote.bid if quote else None for quote in quotes]
    asks = [quote.ask if quote else None for quote in quotes]
    bar_cells = 8 if wide else 3
    lots_least = 5 if wide else 3
    placed = [outcome_text(snapshot, state) for state in states]
    return [
        Column("symbol", [Text(one.symbol.name, "bold") for one in states], right=False, least=6),
        Column("placed", placed, 6, right=False, least=7),
        Column("lots", [_lots(one, wide) for one in bids], 5, name="bid lots", least=lots_least),
        Column("bid", [_price(*pair) for pair in zip(states, bids, strict=True)], 2, least=7),
        Column("ask", [_price(*pair) for pair in zip(states, asks, strict=True)], 3, least=7),
        Column("lots", [_lots(one, wide) for one in asks], 5, name="ask lots", least=lots_least),
        Column("ttl", [_ttl(snapshot, quote, bar_cells, wide) for quote in quotes], 9, right=False),
    ]


def _position_columns(states: Sequence[SymbolState], wide: bool) -> list[Column]:
    profits = [profit_of(state, mark_of(state)) for state in states]
    net = [signed_lots(state.position.net_lots) for state in states]
    realised = [signed(one.realised) for one in profits]
    unrealised = [signed(one.unrealised) for one in profits]
    return [
        Column("net", net, 4, least=4),
        Column("realised", realised, 7, least=8),
        Column("unrealised" if wide else "unreal.", unrealised, 8, name="unrealised", least=7),
        Column("profit", [signed(one.total) for one in profits], 1, least=8),
    ]


def _version_columns(states: Sequence[SymbolState], in_full: bool) -> list[Column]:
    position, quote = ("position version", "quote version") if in_full else ("pv", "qv")
    fills = [_position_version(state) for state in states]
    quotes = [Text(str(state.quote_version)) for state in states]
    return [
        Column(position, fills, 10, least=5),
        Column(quote, quotes, 11, least=5),
    ]


def _wide_columns(states: Sequence[SymbolState]) -> list[Column]:
    marks = [mark_text(state, mark_of(state)) for state in states]
    quantities = [Text(one.symbol.quantity(one.position.net_lots), QUIET) for one in states]
    makers = [Text(plain(one.quote.maker_id if one.quote else "-"), QUIET) for one in states]
    costs = [cost_text(state) for state in states]
    return [
        Column("average cost", costs, 12),
        Column("mark", marks, 13, right=False, least=14),
        Column("quantity", quantities, 15),
        Column("maker", makers, 14, right=False, least=7),
    ]


def _chosen(
    snapshot: Snapshot, states: Sequence[SymbolState], width: int, widths: Widths
) -> tuple[list[Column], list[str]]:
    """The columns that fit, and the names of those that do not, but for what profit sums up."""
    wide = width >= WIDE
    columns = widths.grow(
        [
            *_quote_columns(snapshot, states, wide),
            *_position_columns(states, wide),
            *_version_columns(states, width >= WIDEST),
            *(_wide_columns(states) if wide else []),
        ]
    )
    chosen = choose(columns, width)
    missing = left_out(columns, chosen)
    return chosen, [name for name in missing if name not in ("realised", "unrealised")]


def _position_version(state: SymbolState) -> Text:
    """The committed version, followed by ``+n`` while n fills are not yet committed."""
    version = state.position.position_version
    text = Text(str(version))
    ahead = state.fill_seq - version
    return text.append(f"+{ahead}", QUIET) if ahead > 0 else text


def symbols_lines(snapshot: Snapshot) -> int:
    """How many lines :func:`symbols_pane` needs for all: rule, titles, symbols, how many more."""
    shown = len(snapshot.symbols)
    return 2 + shown + (symbol_count(snapshot) > shown)


def symbols_pane(
    snapshot: Snapshot,
    width: int,
    height: int,
    layout: Layout | None = None,
    view: ViewState | None = None,
) -> list[Text]:
    """The symbols that fit, one on each line, under titles, and how many more there are.

    ``height`` must be 3 at least; below 7 the pane has a rule only if all symbols fit with it.
    ``layout`` keeps columns and lines in their places. ``view`` is the order, the filter and the
    symbol that is chosen.
    """
    layout, view = layout or Layout(), view or ViewState()
    with_rule = height >= min(7, symbols_lines(snapshot))
    height -= with_rule
    total, count = symbol_count(snapshot), min(height - 1, len(snapshot.symbols))
    if count < total:
        count = min(height - 2, count)
    listing = layout.listing
    states = listing.choose(snapshot, count, view)
    chosen, missing = _chosen(snapshot, states, width, layout.widths)
    pane = lines_of(chosen, width)
    if view.symbol in listing.names:
        line = 1 + listing.names.index(view.symbol) - listing.top
        pane[line] = Text(pane[line].plain.ljust(width), "reverse", no_wrap=True, overflow="crop")
    if with_rule:
        pane.insert(0, _pane_rule(chosen, missing, width, view))
    pane += [Text()] * (count - len(states))
    if len(states) < total:
        pane.append(cut(Text(_more(snapshot, listing, states, view.filter), "italic"), width))
    return pane


def _more(snapshot: Snapshot, listing: Listing, shown: Sequence[SymbolState], wanted: str) -> str:
    """How many symbols have no line, and how many of them are quoted."""
    total, above = symbol_count(snapshot), listing.top
    quoted = f"{_quoted_elsewhere(snapshot, shown)} of them quoted"
    if wanted:
        found = f"{grouped(len(listing.names))} of {grouped(total)} symbols match {wanted}"
        below = len(listing.names) - above - len(shown)
        return found if not above + below else f"{found}: {above} above, {below} below"
    below = total - above - len(shown)
    if above:
        return f"{grouped(above)} symbols above and {grouped(below)} below, {quoted}"
    return f"and {grouped(below)} more symbols, {quoted}"


def _quoted_elsewhere(snapshot: Snapshot, shown: Sequence[SymbolState]) -> str:
    """How many of the symbols that are not shown have an active quote."""
    active = {name for name, ends in snapshot.expiry.items() if ends > snapshot.now_ms}
    return grouped(len(active - {one.symbol.name for one in shown}))


def _pane_rule(
    chosen: Sequence[Column], missing: Sequence[str], width: int, view: ViewState
) -> Text:
    """The title of the pane, what its columns mean, and the names of those that are not shown."""
    title = "quotes and positions" if width >= 60 else "quotes"
    if view.sort != SORTS[0]:
        title += f" by {SORT_WORDS[view.sort]}"
    notes = []
    if missing:
        sides = dict.fromkeys(name.removeprefix("bid ").removeprefix("ask ") for name in missing)
        notes.append(f"not shown: {', '.join(sides)}")
        if cell_len(f"─ {title}  {notes[0]} ─") > width:
            title = notes.pop()
    if any(column.called == "pv" for column in chosen):
        notes.append("pv, qv: position version, quote version")
    if width >= WIDE:
        notes.append("lots: left/placed")
    space = width - cell_len(f"─ {title}    ─")
    notes = [note for note in notes if len(note) <= space]
    return rule(title, width, parts_line([Text(one) for one in notes], space, "; ").plain)


def lag_words(snapshot: Snapshot) -> str:
    """Both lags in words."""
    return " ".join(f"{name} {duration(ms)}" for name, ms in snapshot.lag_ms.items())


def lag_line(snapshot: Snapshot) -> Text:
    """Both lags; amber when one needs attention."""
    longest = max(snapshot.lag_ms.values(), default=0)
    return Text.assemble("lag ", (lag_words(snapshot), lag_style(longest) or "bold"))
