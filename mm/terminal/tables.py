"""The tables of positions, quotes, exposure and processes that the commands print."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.text import Text

from mm.facts import (
    Budget,
    Mark,
    ProcessRow,
    active_quotes,
    average_cost,
    budgets,
    halts,
    mark_price,
    placement_of,
    process_rows,
    reservations,
    symbol_count,
    unit_text,
)
from mm.market import MAX_INT
from mm.store import QuoteSide, Snapshot, SymbolState
from mm.terminal.columns import Column, FittedTable, stacked
from mm.terminal.draw import (
    BAD,
    GOOD,
    QUIET,
    WARN,
    bar,
    duration,
    grouped,
    grouped_decimal,
    plain,
    signed,
)

NONE = "-"
#: What a mark is, in the words that stand beside it.
MARKS = (
    "Profit is at the mark: the middle of the active quote (quote), without one the last fill's"
    " price (last), before any fill the configured price (reference)."
)
#: A process that lags by this much needs attention.
LATE_MS = 1_000
_STATE_STYLES = {"live": GOOD, "silent": f"bold {BAD}", "idle": QUIET}


def names(found: Sequence[str], max_names: int) -> str:
    """The first names of a list, and how many more there are."""
    if not found:
        return "none"
    more = f" and {grouped(len(found) - max_names)} more" if len(found) > max_names else ""
    return " ".join(found[:max_names]) + more


def none() -> Text:
    """A dash, for a value that does not exist."""
    return Text(NONE, QUIET)


def signed_lots(lots: int) -> Text:
    """Lots of a position with their sign."""
    return signed(str(lots))


def outcome_text(snapshot: Snapshot, state: SymbolState) -> Text:
    """HALTED, what an operator has made of it, or the outcome of the placement of the quote."""
    if state.halted:
        return Text("HALTED", f"bold reverse {BAD}")
    if state.symbol.retired:
        return Text("closed" if state.closed else "retired")
    if state.frozen:
        # One that ends by itself needs nobody.
        return Text("frozen", f"bold {WARN}" if state.frozen_until_ms >= MAX_INT else "")
    mode = snapshot.mode_of(state.symbol.name)
    if mode != "active":
        return Text(mode)
    outcome = plain(placement_of(state))
    return Text(outcome) if outcome else none()


def state_text(row: ProcessRow) -> Text:
    """Whether the process lives; nothing for a process that never had a heartbeat."""
    return none() if row.silent_ms is None else Text(row.state, _STATE_STYLES[row.state])


def lag_text(row: ProcessRow) -> Text:
    """The lag of the process's kind, if it reads a stream."""
    if row.lag_ms is None:
        return none()
    return Text(duration(row.lag_ms), lag_style(row.lag_ms))


def lag_style(lag_ms: int) -> str:
    """Amber when a lag needs attention."""
    return WARN if lag_ms >= LATE_MS else ""


def mark_text(state: SymbolState, mark: Mark) -> Text:
    """A mark with the word for what it is: quote, last or reference."""
    return Text(mark_price(state.symbol, mark)).append(f" {mark.source}", QUIET)


def cost_text(state: SymbolState) -> Text:
    """The average cost of the open lots."""
    cost = average_cost(state)
    return none() if cost is None else Text(cost)


def price_text(state: SymbolState, side: QuoteSide | None) -> Text:
    """The price of one side of a quote."""
    if side is None or not side.size_lots:
        return none()
    return Text(state.symbol.price(side.ticks))


def _lots(side: QuoteSide | None) -> Text:
    if side is None or not side.size_lots:
        return none()
    return Text(f"{side.lots}/{side.size_lots}")


def quotes_table(snapshot: Snapshot) -> FittedTable:
    """Each symbol's active quote, with the lots left and placed, and how it was placed."""
    states = list(snapshot.symbols.values())
    quotes = [state.quote for state in states]
    bids = [quote.bid if quote else None for quote in quotes]
    asks = [quote.ask if quote else None for quote in quotes]
    left_ms = [quote.expires_ms - snapshot.now_ms if quote else None for quote in quotes]
    columns = [
        Column("symbol", [Text(name) for name in snapshot.symbols], right=False),
        Column("placed", [outcome_text(snapshot, state) for state in states], 5, right=False),
        Column("lots", [_lots(side) for side in bids], 3, name="bid lots"),
        Column("bid", [price_text(*pair) for pair in zip(states, bids, strict=True)], 1),
        Column("ask", [price_text(*pair) for pair in zip(states, asks, strict=True)], 2),
        Column("lots", [_lots(side) for side in asks], 4, name="ask lots"),
        Column("ttl", [none() if ms is None else Text(duration(ms)) for ms in left_ms], 6),
        Column(
            "quote id",
            [Text(quote.quote_id) if quote else none() for quote in quotes],
            7,
            right=False,
        ),
    ]
    title = f"Quotes: {active_quotes(snapshot)} active of {symbol_count(snapshot)} symbols"
    return FittedTable(f"{title}; lots are left/placed", columns, _halt_lines(snapshot))


def _halt_lines(snapshot: Snapshot) -> list[Text]:
    return [
        Text(f"HALTED {name}: {plain(why)}", f"bold {BAD}") for name, why in halts(snapshot).items()
    ]


def exposure_table(snapshot: Snapshot) -> Group:
    """Both budgets against the limit, the symbols that wait for each, and all reservations."""
    both = budgets(snapshot)
    config = snapshot.config

    def amount(units: int) -> Text:
        return Text(grouped_decimal(config.exposure_amount(units)))

    counted = f" (a unit is {unit_text(config)})" if config.counts_money else ""
    columns = [
        Column("budget", [Text(one.name) for one in both], right=False),
        Column("", [budget_bar(one, 20) for one in both], 4, right=False),
        Column("used", [amount(one.used_units) for one in both], 1),
        Column("free", [amount(one.free_units) for one in both], 3),
        Column("limit", [amount(one.limit_units) for one in both], 2),
    ]
    waiting = [Text(f"waiting for {one.name}: {names(one.waiting, 20)}") for one in both]
    held = reservations(snapshot)
    left_ms = [one.expires_ms - snapshot.now_ms for one in held]
    reserved = [
        Column("symbol", [Text(one.symbol) for one in held], right=False),
        Column("long", [amount(one.long_units) for one in held], 1),
        Column("short", [amount(one.short_units) for one in held], 2),
        Column("quote id", [Text(plain(one.quote_id)) for one in held], 4, right=False),
        Column("ends in", [Text(duration(ms) if ms > 0 else "expired") for ms in left_ms], 3),
    ]
    title = f"Reservations: {len(held)} of {symbol_count(snapshot)} symbols"
    return stacked(
        FittedTable(f"Exposure in {config.exposure_name}{counted}", columns, waiting),
        FittedTable(title, reserved if held else []),
    )


def budget_bar(budget: Budget, cells: int) -> Text:
    """The used part of a budget as a bar. A full budget is usual and no cause for an alarm."""
    return bar(budget.used_units, budget.limit_units, cells, "cyan")


def processes_table(snapshot: Snapshot) -> FittedTable:
    """Each process: pid, whether it lives, restarts, rate and lag."""
    rows = process_rows(snapshot)
    heard = [
        none() if row.silent_ms is None else Text(f"{duration(row.silent_ms)} ago") for row in rows
    ]
    rates = [none() if row.rate_per_s is None else Text(grouped(row.rate_per_s)) for row in rows]
    columns = [
        Column("process", [Text(plain(row.name)) for row in rows], right=False),
        Column("state", [state_text(row) for row in rows], 1, right=False),
        Column("pid", [none() if row.pid is None else Text(str(row.pid)) for row in rows], 2),
        Column("heard", heard, 6),
        Column("restarts", [Text(str(row.restarts)) for row in rows], 4),
        Column("rate/s", rates, 5),
        Column("lag", [lag_text(row) for row in rows], 3),
    ]
    return FittedTable("Processes", columns)
