"""The first sections of the page: money, prices, exposure and quotes, each with its plots."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from html import escape

from mm.report.bars import MOST_BARS, split_figure, uptime_figure
from mm.report.figures import Figure, exposure_figure, profit_figure, symbol_figure
from mm.report.ledger import Account
from mm.report.markup import figure, section, table, tiles, verdict
from mm.report.past import Past
from mm.report.quoting import Quoted
from mm.report.texts import count, duration, share, signed

#: The most differences that stand at the top of the page; the table has all.
MOST_SAID = 20


def headline(past: Past) -> str:
    """The verdict on the money, and the numbers that a reader wants first."""
    found = past.reconciliation
    lines = found.all_differences
    if found.agrees:
        fills = sum(row.committed for row in found.rows)
        title = f"Ledger, positions and cash agree: {count(fills, 'committed fill')} of"
        title += f" {count(len(found.rows), 'symbol')}, since the beginning of the ledger"
    else:
        title = f"Ledger, positions and cash do NOT agree: {count(len(lines), 'difference')}"
    more = len(lines) - MOST_SAID
    said = [*lines[:MOST_SAID], *([f"{more:,} more: see the table"] if more > 0 else [])]
    numbers: list[tuple[str, str, str]] = []
    for one in past.periods.totals:
        drawdown = past.ledger.largest_drawdown(one.currency)
        numbers += [
            ("profit", signed(one.profit), one.currency),
            ("of it spread earned", signed(one.spread), one.currency),
            ("of it inventory profit", signed(one.inventory), one.currency),
            ("largest drawdown", drawdown, one.currency),
        ]
    numbers += [
        ("fills", f"{sum(one.fills for one in past.periods.totals):,}", ""),
        ("orders taken", f"{past.orders:,}", ""),
        ("of the time quoted on both sides", share(*_uptime(past.quoting.quoted.values())), ""),
        ("incidents", f"{sum(one.grave for one in past.all_incidents):,}", ""),
    ]
    return verdict(found.agrees, title, said) + tiles(numbers)


def profit_section(past: Past, figures: dict[str, Figure]) -> str:
    """How profit went, and which symbols made it."""
    parts = []
    for at, one in enumerate(past.ledger.earnings):
        total = next((t for t in past.periods.totals if t.currency == one.purse.currency), None)
        if total is None:
            continue
        name, unit = f"profit-{at}", one.purse.currency or "money"
        figures[name] = profit_figure(past, one)
        lost = one.purse.text(one.largest)
        parts.append(
            figure(
                name,
                f"Line plot of the profit in {unit} over time: it ends at {total.profit}, of which"
                f" {total.spread} is spread earned and {total.inventory} inventory profit. The"
                f" largest drawdown is {lost}.",
                "Each fill is valued at its own price. Crosses at the top are incidents.",
                figures[name]["layout"]["height"],
            )
        )
        split = f"split-{at}"
        groups = [each for each in past.periods.groups if each.currency == one.purse.currency]
        figures[split] = split_figure(past, one.purse.currency)
        caption = "A bar each for what the spread earned and what prices did to the inventory."
        if len(groups) > MOST_BARS:
            caption += f" The {MOST_BARS} symbols with the largest profit or loss; the table has"
            caption += f" all {len(groups):,}."
        best = max(groups, key=lambda each: Decimal(each.profit))
        parts.append(
            figure(
                split,
                f"Bar plot of the profit in {unit} by symbol, split into spread and inventory."
                f" {best.symbol} earned most, {best.profit}. The table below has all figures.",
                caption,
                figures[split]["layout"]["height"],
            )
        )
    if not parts:
        return section("profit", "Profit", "There is no fill in this range.")
    heads = ("Symbol", "Currency", "Profit", "Spread earned", "Inventory profit", "Fills", "Volume")
    rows = [
        (
            *(one.symbol, one.currency or "-", signed(one.profit), signed(one.spread)),
            *(signed(one.inventory), f"{one.fills:,}", one.volume),
        )
        for one in past.periods.groups
    ]
    sums = [
        (
            *("All", one.currency or "-", signed(one.profit), signed(one.spread)),
            *(signed(one.inventory), f"{one.fills:,}", one.volume),
        )
        for one in past.periods.totals
    ]
    made = table("What each symbol earned in this range", heads, rows, frozenset({1}), sums)
    lead = "What the fills of this range earned: the spread, and what prices did to the inventory."
    return section("profit", "Profit", lead, *parts, made)


def prices_section(past: Past, figures: dict[str, Figure]) -> str:
    """Quoted prices, own fills and inventory, of one symbol at a time."""
    quoted = past.quoting.quoted
    # The symbol with the most fills is shown first: it has the most to see.
    names = sorted(past.names, key=lambda name: -past.ledger.accounts[name].in_range)
    options = []
    for name in names:
        figures[f"symbol:{name}"] = symbol_figure(past, past.ledger.accounts[name], quoted[name])
        summary = _symbol_summary(past.ledger.accounts[name])
        options.append(
            f'<option value="{escape(name)}" data-summary="{escape(summary)}">{escape(name)}'
            "</option>"
        )
    picker = f'<label>Symbol <select id="pick">{"".join(options)}</select></label>'
    if len(names) == 1:
        picker = f'<label hidden><select id="pick">{options[0]}</select></label>'
    if not names:
        return ""
    first = past.ledger.accounts[names[0]]
    caption = (
        "Lines: the bid and the ask that could be hit. ▲ the maker bought, ▼ it sold. Below: what"
        " it held after each fill."
    )
    shown = figure(
        "symbol",
        _symbol_summary(first),
        caption,
        figures[f"symbol:{names[0]}"]["layout"]["height"],
        picked=True,
    )
    lead = "What was quoted, where it was filled, and what the maker then held."
    return section("prices", "Prices, fills and inventory", lead, picker, shown)


def _symbol_summary(account: Account) -> str:
    symbol = account.symbol
    held = [point.value for point in account.inventory.points()] or [account.opening_lots]
    return (
        f"Plot of {symbol.name}: quoted prices with {count(account.in_range, 'fill')}, and below"
        f" them the inventory, between {symbol.quantity(min(held))} and"
        f" {symbol.quantity(max(held))}."
    )


def exposure_section(past: Past, figures: dict[str, Figure]) -> str:
    """Exposure against its limit."""
    config, quoting = past.snapshot.config, past.quoting
    amount, unit = config.exposure_amount, config.exposure_name
    limit = past.limits[-1][1]
    figures["exposure"] = exposure_figure(past)
    long, short = quoting.highest
    summary = (
        f"Area plot of the exposure in {unit} over time, long above zero and short below. The"
        f" highest is {amount(long)} long and {amount(short)} short; the limit is {amount(limit)}."
    )
    caption = (
        "What all active quotes would buy (long), and sell (short), if every one filled, at the end"
        " of each millisecond."
    )
    if past.wanted.symbols:
        caption += " Only the symbols of this report; the limit is that of all symbols."
    if past.snapshot.parts:
        caption += " The sum over all partitions, whose leases are within this limit."
    if len(past.limits) > 1:
        caption += (
            " The limit was changed in this time. The highest share is of the limit that stood"
            " then. It can be above 100 % until quotes from before a lower limit have ended."
        )
    heads = ("Side", f"Highest, {unit}", f"Limit now, {unit}", "Highest of the limit")
    rows = [
        (name, amount(highest), amount(limit), share(most.units, most.limit_units))
        for name, highest, most in zip(
            ("long", "short"), (long, short), quoting.fullest, strict=True
        )
    ]
    lead = "How much of the exposure limit the quotes have used."
    shown = figure("exposure", summary, caption, figures["exposure"]["layout"]["height"])
    return section("exposure", "Exposure against its limit", lead, shown, table(lead, heads, rows))


def quotes_section(past: Past, figures: dict[str, Figure]) -> str:
    """For how much of the time each symbol was quoted, and how long it waited."""
    every = list(past.quoting.quoted.values())
    worst = sorted(every, key=_two_share)[:MOST_BARS]
    figures["uptime"] = uptime_figure(worst)
    caption = "Diamonds: the share of time in which the newest placement had got less than asked."
    if len(every) > MOST_BARS:
        caption += f" The {MOST_BARS} least quoted symbols; the table has all {len(every):,}."
    summary = (
        "Bar plot of the share of time with a quote on both sides, on one, and without a quote, by"
        " symbol. The table below has all figures."
    )
    heads = (
        *("Symbol", "Both sides", "One side", "No quote", "Longest without", "Waited"),
        *("Placements", "Less than asked"),
    )
    rows = []
    for one in every:
        whole = one.two_ms + one.one_ms + one.none_ms
        rows.append(
            (
                one.symbol.name,
                *(share(ms, whole) for ms in (one.two_ms, one.one_ms, one.none_ms)),
                duration(one.longest_ms),
                share(one.waiting_ms, whole),
                f"{one.placements:,}",
                f"{one.short_of:,}",
            )
        )
    lead = (
        "A side counts while an order could hit it: from its placement until it is filled, ended or"
        " expired. A symbol waits while its newest placement got fewer lots than it asked for."
    )
    shown = figure("uptime", summary, caption, figures["uptime"]["layout"]["height"])
    made = table("Quotes of each symbol", heads, rows)
    return section("quotes", "Quote uptime and waiting", lead, shown, made)


def _two_share(one: Quoted) -> float:
    return one.two_ms / max(one.two_ms + one.one_ms + one.none_ms, 1)


def _uptime(some: Iterable[Quoted]) -> tuple[int, int]:
    every = list(some)
    two = sum(one.two_ms for one in every)
    return two, sum(one.two_ms + one.one_ms + one.none_ms for one in every)
