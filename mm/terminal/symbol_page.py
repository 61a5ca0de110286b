"""The page of one symbol: its quote, position, turn to wait, prices with fills, and its story."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from mm.facts import mark_of, mode_sentences, placement_of, profit_of
from mm.instant import clock
from mm.store import LiveQuote, QuoteSide, Snapshot, SymbolState
from mm.terminal.chart import LEGEND, price_chart
from mm.terminal.draw import (
    BAD,
    QUIET,
    cut,
    duration,
    parts_line,
    plain,
    rule,
    signed,
    thin_bar,
    wrapped,
)
from mm.terminal.symbol_source import StoryLine, SymbolPast, part_with
from mm.terminal.tables import cost_text, mark_text, names, none, outcome_text

#: The widest bar of a position, in cells, and the narrowest one.
MAX_BAR, LEAST_BAR = 60, 11
#: The least lines of the chart and of the story; with fewer they are left out.
CHART_LEAST, STORY_LEAST = 6, 2
#: Steps of a story that are usual have no style. A quote stands out, since it is what follows.
_STEP_STYLES = {"quote": "bold", "now": "bold"}


def symbol_page(
    snapshot: Snapshot, symbol: str, past: SymbolPast | None, width: int, height: int
) -> list[Text]:
    """The page in at most ``height`` lines of at most ``width`` cells.

    In order of importance: the quote, the position, what an operator or a rule has done to the
    symbol, where it waits, prices and story. ``past`` is None until it was read.
    """
    state = snapshot.symbols.get(symbol)
    if state is None:
        return [cut(Text(f"{symbol} is not among the symbols that are read now"), width)]
    past = past if past is not None and past.symbol == symbol else SymbolPast(symbol)
    note = f"a lot is {state.symbol.quantity(1)}, a tick {state.symbol.price(1)}"
    lines = [rule(symbol, width, note), _quote_line(snapshot, state, width)]
    lines += [_position_line(state, width), _profit_line(state, width)]
    lines += [*_alerts(snapshot, state, past, width), _waiting_line(snapshot, symbol, width)]
    left = height - len(lines)
    with_chart = left >= CHART_LEAST + STORY_LEAST + 1
    story = _story_lines(past.story, width, (left - 2) // 2 if with_chart else left - 1)
    chart = left - 1 - (len(story) + 1 if story else 0)
    if chart >= CHART_LEAST - 1:
        drawn = price_chart(past, state.symbol, snapshot.now_ms, width, chart)
        lines += [rule("prices", width, LEGEND if width >= 70 else ""), *drawn] if drawn else []
    if story:
        lines += [rule("story", width, "times since the line before"), *story]
    return lines[:height]


def _side(state: SymbolState, side: QuoteSide | None, name: str) -> Text:
    line = Text.assemble((f"{name} ", QUIET))
    if side is None or not side.size_lots:
        return line.append_text(none())
    line.append(state.symbol.price(side.ticks), "bold" if side.lots else QUIET)
    return line.append(f"  {side.lots} of {side.size_lots} left")


def _quote_line(snapshot: Snapshot, state: SymbolState, width: int) -> Text:
    """Both sides of the quote with the lots left, how long it lives, and who placed it."""
    quote = state.quote
    parts = [
        _side(state, quote.bid if quote else None, "bid"),
        _side(state, quote.ask if quote else None, "ask"),
    ]
    if not quote:
        parts = [Text("no quote: ").append_text(_why_none(snapshot, state))]
    else:
        parts += [_left(snapshot, quote), outcome_text(snapshot, state)]
        parts += [Text(f"{quote.quote_id} by {plain(quote.maker_id)}", QUIET)]
    return parts_line(parts, width, "   ")


def _left(snapshot: Snapshot, quote: LiveQuote) -> Text:
    left = quote.expires_ms - snapshot.now_ms
    bar = thin_bar(left, snapshot.config.quote_ttl_ms, 6, "cyan")
    return bar.append(f" {duration(left)}")


def _why_none(snapshot: Snapshot, state: SymbolState) -> Text:
    found = outcome_text(snapshot, state)
    if placement_of(state) == "omitted" and found.plain == "omitted":
        return Text("omitted, no exposure is free for it")
    return found if found.plain != "-" else Text("none is placed yet, or the last one has ended")


def _position_line(state: SymbolState, width: int) -> Text:
    """The net position on a bar from its limit short to its limit long."""
    position, limit = state.position, state.symbol.position_limit_lots
    net = Text.assemble("net ", (f"{position.net_lots:+d}" if position.net_lots else "0", "bold"))
    net.append(f" of {limit} lots long or short", "")
    ahead = state.fill_seq - position.position_version
    if ahead > 0:
        net.append(f", {ahead} more fills to commit")
    ends = (f"-{limit} ", f" +{limit}")
    cells = min(width - net.cell_len - 3 - sum(map(len, ends)), MAX_BAR)
    if cells < LEAST_BAR:
        return cut(net, width)
    bar = _two_sided(position.net_lots, limit, cells)
    return cut(
        net.append("   ").append(ends[0], QUIET).append_text(bar).append(ends[1], QUIET), width
    )


def _two_sided(net: int, limit: int, cells: int) -> Text:
    """A bar from its middle to the left below zero, to the right above; any net is visible."""
    half = (cells - 1) // 2
    filled = min(abs(net) * half // limit, half) if limit > 0 else half
    filled = max(filled, 1) if net else 0
    short, long = (filled, 0) if net < 0 else (0, filled)
    return Text.assemble(
        ("─" * (half - short), QUIET),
        ("━" * short, "cyan"),
        ("┼", QUIET),
        ("━" * long, "cyan"),
        ("─" * (half - long), QUIET),
    )


def _profit_line(state: SymbolState, width: int) -> Text:
    """The profit at the mark and what it consists of, and the average cost."""
    mark = mark_of(state)
    profit = profit_of(state, mark)
    parts = [
        Text("profit ").append_text(signed(profit.total)),
        Text("realised ").append_text(signed(profit.realised)),
        Text("unrealised ").append_text(signed(profit.unrealised)),
        Text("average cost ").append_text(cost_text(state)),
        Text("mark ").append_text(mark_text(state, mark)),
        Text(f"fills {state.fill_seq}"),
    ]
    return parts_line(parts, width, "   ")


def _alerts(snapshot: Snapshot, state: SymbolState, past: SymbolPast, width: int) -> list[Text]:
    """Why the symbol does not trade as it is configured, and why nothing newer could be read."""
    lines = []
    if state.halted:
        lines.append(Text.assemble(("HALTED", f"bold reverse {BAD}"), f" {plain(state.halted)}"))
    if state.frozen:
        lines.append(Text(f"frozen by its protection: {plain(state.frozen)}"))
    modes = mode_sentences(snapshot)
    lines += [Text(plain(modes[name])) for name in ("*", state.symbol.name) if name in modes]
    if past.trouble:
        lines.append(Text(f"prices and story are old: {plain(past.trouble)}"))
    return [cut(line, width) for line in lines]


def _waiting_line(snapshot: Snapshot, symbol: str, width: int) -> Text:
    """The places of the symbol in both queues for exposure, and who is before it."""
    part = part_with(snapshot, symbol)
    line = Text()
    for title, queue in (("long", part.waiting_bid), ("short", part.waiting_ask)):
        line.append("   " if line else "").append(f"{title}: ", QUIET)
        waiting = list(queue)
        if symbol not in queue:
            line.append("does not wait")
            continue
        place = waiting.index(symbol)
        line.append(f"waits, place {place + 1} of {len(waiting)}")
        if place:
            line.append(f", after {names(waiting[:place][-2:], 2)}", QUIET)
    return cut(line, width)


def _story_lines(story: Sequence[StoryLine], width: int, height: int) -> list[Text]:
    """The last steps that fit, one that is too long for a line in several.

    The first one has its time of day, the others the time since the one before.
    """
    steps: list[list[Text]] = []
    for number in range(len(story) - 1, -1, -1):
        step = _step_lines(story, number, width, is_first=True)
        if len(step) + sum(map(len, steps)) > height:
            break
        if steps:
            steps[0] = _step_lines(story, number + 1, width, is_first=False)
        steps.insert(0, step)
    return [line for step in steps for line in step]


def _step_lines(story: Sequence[StoryLine], number: int, width: int, is_first: bool) -> list[Text]:
    ts_ms, kind, text = story[number]
    when = clock(ts_ms)
    if not is_first:
        after = ts_ms - story[number - 1][0]
        when = f"{'-' if after < 0 else '+'}{abs(after) // 1_000}.{abs(after) % 1_000:03d} s"
    lines = wrapped(Text.assemble((f"{when:>9} ", QUIET)), plain(text), 10, width)
    for line in lines:
        line.stylize(_STEP_STYLES.get(kind, ""), 10)
    return lines
