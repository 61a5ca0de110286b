"""The last sections of the page: latencies, incidents, the reconciliation, and what to know."""

from __future__ import annotations

from mm.instant import precise, timestamp
from mm.report.bars import latency_figure
from mm.report.figures import Figure
from mm.report.markup import facts, figure, section, table
from mm.report.past import Past
from mm.report.texts import count, ms_text, signed

#: The most incidents that the page lists: the newest ones.
MOST_INCIDENTS = 500


def latencies_section(past: Past, figures: dict[str, Figure]) -> str:
    """How long orders, commits and quotes took, as far as the stored instants say it."""
    found = past.latencies
    kinds = [
        ("order taken → filled", found.taken),
        ("fill → committed", found.committed),
        ("fill → next quote", found.quoted),
    ]
    if not any(spread.total for _, spread in kinds):
        return section("latencies", "Latencies", "There is no fill in this range to measure.")
    figures["latencies"] = latency_figure(kinds)
    heads = ("From → to", "Measured", "Half within, ms", "95 % within", "99 % within", "Longest")
    rows = [
        (
            name,
            f"{spread.total:,}",
            *(ms_text(spread.percentile(percent)) for percent in (50, 95, 99, 100)),
        )
        for name, spread in kinds
    ]
    words = [
        "By the server's clock, in whole milliseconds: 0 means within the same millisecond.",
    ]
    if found.unquoted:
        words.append(f"{count(found.unquoted, 'fill')} had no next quote yet at the end.")
    backwards = sum(spread.backwards for _, spread in kinds)
    if backwards:
        words.append(f"{count(backwards, 'time')} left out: the clock was set back in between.")
    summary = "Bar plot of how often each latency was seen. The table below has the percentiles."
    shown = figure("latencies", summary, " ".join(words), figures["latencies"]["layout"]["height"])
    meaning = facts(
        [
            (
                "order taken → filled",
                "from when the exchange took the order from its inbox until its fill. The wait in"
                " the inbox is not stored and not in it.",
            ),
            (
                "fill → committed",
                "until the position that includes the fill was stored. Steps that carry many fills"
                " count for each.",
            ),
            (
                "fill → next quote",
                "until the first quote that was computed from a position with the fill. A symbol"
                " without exposure waits, and that is in it.",
            ),
        ]
    )
    lead = "How long the system took, as far as the stored instants tell."
    made = table("Latencies in milliseconds", heads, rows)
    return section("latencies", "Latencies", lead, shown, made, meaning)


def incidents_section(past: Past, _figures: dict[str, Figure]) -> str:
    """What went wrong, what was changed, and which records were rejected."""
    every = past.all_incidents
    shown = every[-MOST_INCIDENTS:]
    parts = []
    if shown:
        title = "Incidents and changes, oldest first"
        if len(shown) < len(every):
            title += f": the newest {len(shown):,} of {len(every):,}"
        rows = [(precise(one.ts_ms), one.kind, one.text) for one in shown]
        parts.append(table(title, ("Time", "Of", "What"), rows, frozenset({1, 2})))
    if past.rejected:
        rejects = [
            (
                *(one.source, f"{one.count:,}"),
                *(timestamp(one.first_ms), timestamp(one.last_ms), one.reason),
            )
            for one in past.rejected
        ]
        heads = ("From", "Records", "First", "Last", "Reason")
        parts.append(table("Dead letters", heads, rejects, frozenset({2, 3, 4})))
    lead = (
        "Processes and servers that ended and came back, times without any quote, protections, and"
        " what operators changed."
    )
    if not parts:
        lead = "None is known in this range: no process ended unasked, and nobody changed anything."
    return section("incidents", "Incidents", lead, *parts)


def reconciliation_section(past: Past, _figures: dict[str, Figure]) -> str:
    """Ledger, positions and cash, side by side."""
    found = past.reconciliation
    verdicts = ["agrees" if row.agrees else "DIFFERS" for row in found.rows]
    marked = frozenset(at for at, row in enumerate(found.rows) if not row.agrees)
    quantities = table(
        "Quantities: net is bought less sold",
        (
            *("Symbol", "Verdict", "Fills", "Committed", "Bought", "Sold", "Net by ledger"),
            "Net by position",
        ),
        [
            (
                *(row.symbol, word, f"{row.fills:,}", f"{row.committed:,}"),
                *(row.bought, row.sold, row.ledger_net, row.position_net),
            )
            for row, word in zip(found.rows, verdicts, strict=True)
        ],
        frozenset({1}),
        marked=marked,
    )
    money = table(
        "Money: cash is received less paid; profit is cash and net x mark x multiplier",
        (
            *("Symbol", "Currency", "Paid", "Received", "Cash by ledger", "Cash by position"),
            *("Mark", "Profit at mark"),
        ),
        [
            (
                *(row.symbol, row.currency or "-", row.paid, row.received, row.ledger_cash),
                *(row.position_cash, row.mark, signed(row.profit)),
            )
            for row in found.rows
        ],
        frozenset({1}),
        [
            (
                *("All", one.currency or "-", "", "", one.ledger_cash, one.position_cash),
                *("", signed(one.profit)),
            )
            for one in found.totals
        ],
        marked,
    )
    said = [(row.symbol, "; ".join((*row.differences, *row.notes))) for row in found.rows]
    said = [(name, words) for name, words in said if words]
    said += [("all", words) for words in found.differences]
    notes = table("What differs, and notes", ("Symbol", "What"), said, frozenset({1}))
    lead = (
        f"At {precise(past.snapshot.now_ms)}, over all fills since the beginning of the ledger,"
        " whatever the range of this report. By the ledger: the sums of its committed fills. By the"
        " position: what is stored."
    )
    parts = [quantities, money, *([notes] if said else [])]
    return section("reconciliation", "Reconciliation", lead, *parts)


def about_section(past: Past, _figures: dict[str, Figure]) -> str:
    """What the page leaves out, and how."""
    pairs = [
        ("Tables", "Money and quantities are exact decimals, over every record of the range."),
        ("Plots", _thinned(past)),
        ("Sides", "Those of the maker: it buys what an order sells."),
        ("Profit", "Before fees, which the system does not know."),
    ]
    names = {
        "orders": "orders",
        "quotes": "quote events",
        "positions": "committed updates",
        "fills": "fills",
    }
    for name in sorted(past.lacking):
        text = f"older {names[name]} of this range are no longer kept"
        if name == "quotes":
            text += f": quotes and exposure count from {timestamp(past.quoting.begin_ms)} on"
        pairs.append(("Missing", text))
    for name, number in sorted(past.left_out.items()):
        text = f"{count(number, 'record')} of {names[name]} left out: not what this system writes"
        pairs.append(("Left out", f"{text}; see `mm audit`"))
    return section("about", "About this report", "How to read it, and what it lacks.", facts(pairs))


def _thinned(past: Past) -> str:
    ledger, quoting = past.ledger, past.quoting
    series = [
        *(one.points for one in ledger.earnings),
        quoting.exposure,
        *(one.prices for one in quoting.quoted.values()),
        *(each for one in ledger.accounts.values() for each in one.series),
    ]
    some = [one for one in series if one.thinned]
    if not some:
        return "Every point is drawn."
    shown, seen = (sum(map(len, (one.points() for one in some))), sum(one.seen for one in some))
    longest = max(one.span_ms for one in some)
    return (
        f"{count(len(some), 'line')} of this page {'is' if len(some) == 1 else 'are'} thinned:"
        f" {shown:,} of {seen:,} points are drawn. Of each span of time, {longest:,} ms at most,"
        " the first, lowest, highest and last point stay: no peak is lost. To zoom shows no more."
    )
