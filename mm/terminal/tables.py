"""The tables of positions, quotes, exposure and processes that the commands print."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from mm.facts import (
    Budget,
    ProcessRow,
    active_quotes,
    budgets,
    mark_of,
    mark_price,
    process_rows,
    profit_of,
    symbol_count,
)
from mm.store import QuoteSide, Snapshot, SymbolState
from mm.terminal.draw import BAD, GOOD, QUIET, WARN, bar, duration, grouped, plain, signed

NONE = "-"
_OUTCOME_STYLES = {"granted": GOOD, "reduced": WARN, "omitted": "magenta"}
_STATE_STYLES = {"live": GOOD, "silent": f"bold {BAD}"}


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


def outcome_text(state: SymbolState) -> Text:
    """HALTED, or the outcome of the last placement."""
    if state.halted:
        return Text("HALTED", f"bold reverse {BAD}")
    outcome = plain(state.outcome)
    return Text(outcome, _OUTCOME_STYLES.get(outcome, "")) if outcome else none()


def state_text(row: ProcessRow) -> Text:
    """Whether the process lives; nothing for a process that never had a heartbeat."""
    return none() if row.silent_ms is None else Text(row.state, _STATE_STYLES[row.state])


def lag_text(row: ProcessRow) -> Text:
    """The lag of the process's kind, if it reads a stream."""
    if row.lag_ms is None:
        return none()
    return Text(duration(row.lag_ms), WARN if row.lag_ms >= 1_000 else "")


def restarts_text(row: ProcessRow) -> Text:
    """How often the process was restarted."""
    return Text(str(row.restarts), f"bold {WARN}" if row.restarts else "")


def _table(title: str, *columns: str, left: int = 1) -> Table:
    """An empty table whose first ``left`` columns are text and the others numbers."""
    # Where the console is narrow, cells are folded, headers are not.
    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    for place, name in enumerate(columns):
        justify: JustifyMethod = "left" if place < left else "right"
        table.add_column(name, justify=justify, overflow="fold", min_width=len(name))
    return table


def positions_table(snapshot: Snapshot) -> Table:
    """Each symbol's committed position and profit at its mark."""
    table = _table(
        "Positions",
        "symbol",
        "lots",
        "quantity",
        "mark",
        "realised",
        "unrealised",
        "profit",
        "version",
    )
    for name, state in snapshot.symbols.items():
        mark = mark_of(state)
        profit = profit_of(state, mark)
        table.add_row(
            name,
            signed_lots(state.position.net_lots),
            state.symbol.quantity(state.position.net_lots),
            mark_price(state.symbol, mark),
            signed(profit.realised),
            signed(profit.unrealised),
            signed(profit.total),
            str(state.position.position_version),
        )
    return table


def _side_texts(state: SymbolState, side: QuoteSide | None) -> tuple[Text, Text]:
    """The price, and the lots remaining and placed, of one side of a quote."""
    if side is None or not side.size_lots:
        return none(), none()
    return Text(state.symbol.price(side.ticks)), Text(f"{side.lots}/{side.size_lots}")


def quotes_table(snapshot: Snapshot) -> Table:
    """Each symbol's live quote (lots remaining/placed), and the outcome of its last placement."""
    title = f"Quotes: {active_quotes(snapshot)} active, {symbol_count(snapshot)} symbols"
    table = _table(
        title, "symbol", "placement", "lots", "bid", "ask", "lots", "ttl", "quote", left=2
    )
    for name, state in snapshot.symbols.items():
        quote = state.quote
        bid, bid_lots = _side_texts(state, quote.bid if quote else None)
        ask, ask_lots = _side_texts(state, quote.ask if quote else None)
        outcome = outcome_text(state)
        if state.halted:
            outcome = Text.assemble(outcome, " ", plain(state.halted))
        table.add_row(
            name,
            outcome,
            bid_lots,
            bid,
            ask,
            ask_lots,
            Text(duration(quote.expires_ms - snapshot.now_ms)) if quote else none(),
            Text(quote.quote_id) if quote else none(),
        )
    return table


def exposure_table(snapshot: Snapshot) -> Table:
    """Both budgets against the limit, and the symbols that wait for each."""
    lots = snapshot.config.exposure_mode == "lots"
    unit = "lots" if lots else "price ticks x lots x multiplier"
    table = _table(f"Exposure in {unit}", "budget", "", "waiting", "used", "free", "limit", left=3)
    for budget in budgets(snapshot):
        table.add_row(
            budget.name,
            budget_bar(budget, 20),
            names(budget.waiting, 20),
            grouped(budget.used_units),
            grouped(budget.free_units),
            grouped(budget.limit_units),
        )
    return table


def budget_bar(budget: Budget, cells: int) -> Text:
    """The used part of a budget as a bar; yellow when a tenth or less is free."""
    scarce = budget.used_units * 10 >= budget.limit_units * 9
    return bar(budget.used_units, budget.limit_units, cells, WARN if scarce else "cyan")


def processes_table(snapshot: Snapshot) -> Table:
    """Each process: pid, whether it lives, restarts, rate and lag."""
    table = _table(
        "Processes", "process", "state", "pid", "heard", "restarts", "rate/s", "lag", left=2
    )
    for row in process_rows(snapshot):
        heard = none() if row.silent_ms is None else Text(f"{duration(row.silent_ms)} ago")
        rate = none() if row.rate_per_s is None else Text(grouped(row.rate_per_s))
        table.add_row(
            row.name,
            state_text(row),
            none() if row.pid is None else Text(str(row.pid)),
            heard,
            restarts_text(row),
            rate,
            lag_text(row),
        )
    return table
