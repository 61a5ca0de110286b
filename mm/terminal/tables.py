"""The tables of positions, quotes, exposure and processes that the commands print."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from mm.facts import (
    ProcessRow,
    active_quotes,
    exposure_facts,
    half_price,
    mark_of,
    number,
    process_rows,
    profit_of,
    symbol_count,
)
from mm.store import Snapshot, SymbolState
from mm.terminal.draw import BAD, GOOD, QUIET, WARN, bar, duration, grouped, plain, signed

NONE = "-"
_OUTCOME_STYLES = {"granted": GOOD, "reduced": WARN, "omitted": "magenta"}
_STATE_STYLES = {"live": GOOD, "silent": f"bold {BAD}"}


def names(found: Sequence[str], most: int) -> str:
    """The first names of a list, and how many more there are."""
    if not found:
        return "none"
    more = f" and {grouped(len(found) - most)} more" if len(found) > most else ""
    return " ".join(found[:most]) + more


def none() -> Text:
    """What stands for something that does not exist."""
    return Text(NONE, QUIET)


def signed_lots(lots: int) -> Text:
    """Lots of a position with their sign."""
    return signed(str(lots))


def outcome_text(state: SymbolState) -> Text:
    """HALTED, or the outcome of the last placement."""
    if state.halted:
        return Text("HALTED", f"bold reverse {BAD}")
    outcome = plain(state.state.get("outcome", ""))
    return Text(outcome, _OUTCOME_STYLES.get(outcome, "")) if outcome else none()


def state_text(row: ProcessRow) -> Text:
    """Whether the process lives; what was never heard of has none."""
    return none() if row.silent_ms is None else Text(row.state, _STATE_STYLES[row.state])


def lag_text(row: ProcessRow) -> Text:
    """The lag of the process's kind, where it has one."""
    if row.lag_ms is None:
        return none()
    return Text(duration(row.lag_ms), WARN if row.lag_ms >= 1_000 else "")


def restarts_text(row: ProcessRow) -> Text:
    """How often it was restarted."""
    return Text(str(row.restarts), f"bold {WARN}" if row.restarts else "")


def _table(title: str, *columns: str, left: int = 1) -> Table:
    """An empty table whose first ``left`` columns are text and the others numbers."""
    # A header never breaks; where the room is short the cells do.
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
        mark = mark_of(state, snapshot.now_ms)
        profit = profit_of(state, mark)
        table.add_row(
            name,
            signed_lots(state.position.net_lots),
            state.symbol.quantity(state.position.net_lots),
            half_price(state.symbol, mark.twice_ticks),
            signed(profit.realised),
            signed(profit.unrealised),
            signed(profit.total),
            str(state.position.position_version),
        )
    return table


def _placed(state: SymbolState, quote: dict[str, str], side: str) -> tuple[Text, Text]:
    """Price, and remaining lots of those placed, of one side."""
    size = number(quote, f"{side}_size_lots")
    if not size:
        return none(), none()
    price = state.symbol.price(number(quote, f"{side}_ticks"))
    return Text(price), Text(f"{number(quote, f'{side}_lots')}/{size}")


def quotes_table(snapshot: Snapshot) -> Table:
    """Each symbol's live quote (lots remaining/placed), and the outcome of its last placement."""
    title = f"Quotes: {active_quotes(snapshot)} active, {symbol_count(snapshot)} symbols"
    table = _table(
        title, "symbol", "placement", "lots", "bid", "ask", "lots", "ttl", "quote", left=2
    )
    for name, state in snapshot.symbols.items():
        quote = state.live_quote(snapshot.now_ms)
        bid, bid_lots = _placed(state, quote, "bid")
        ask, ask_lots = _placed(state, quote, "ask")
        left = number(quote, "expires_ms") - snapshot.now_ms
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
            Text(duration(left)) if quote else none(),
            Text(quote.get("quote_id", NONE)) if quote else none(),
        )
    return table


def exposure_table(snapshot: Snapshot) -> Table:
    """Both budgets against the limit, and who waits for each."""
    facts = exposure_facts(snapshot)
    unit = "lots" if facts["exposure_mode"] == "lots" else "price ticks x lots x multiplier"
    table = _table(f"Exposure in {unit}", "budget", "", "waiting", "used", "free", "limit", left=3)
    limit = number(snapshot.exposure, "limit_units")
    for side, name, queue in (
        ("bid", "long", snapshot.waiting_bid),
        ("ask", "short", snapshot.waiting_ask),
    ):
        used = number(snapshot.exposure, f"{side}_units")
        table.add_row(
            name,
            bar(used, limit, 20, bar_style(used, limit)),
            names(list(queue), 20),
            grouped(used),
            grouped(limit - used),
            grouped(limit),
        )
    return table


def bar_style(used: int, limit: int) -> str:
    """The colour of a budget's bar: yellow when a tenth or less is free."""
    return WARN if used * 10 >= limit * 9 else "cyan"


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
            Text(row.pid) if row.pid else none(),
            heard,
            restarts_text(row),
            rate,
            lag_text(row),
        )
    return table
