"""The figures of a system as metric families, from one snapshot and what the reader has counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mm.facts import (
    TROUBLE,
    ProcessRow,
    Stoppage,
    active_quotes,
    budgets,
    mark_of,
    partition_rows,
    process_rows,
    profit_of,
    symbol_count,
    unit_text,
)
from mm.market import MODES, REFUSALS
from mm.metrics.counts import Counts, Histogram
from mm.store import Placement, Snapshot, SymbolState

#: The values of the labels of a series, and its figure. Prometheus keeps floating point numbers:
#: exact money is in ``--json``.
Row = tuple[Sequence[str], float]
#: The kind of a process's row that is no process of the system.
_CLIENT = "client"


@dataclass(frozen=True)
class Verdict:
    """What an audit has found, and when it read the system, in ms since 1970."""

    violations: int
    at_ms: int


@dataclass(frozen=True)
class Gathered:
    """What was read of the system for one answer.

    ``orders_waiting`` are those of each partition that the exchange has not processed,
    ``archived`` the fills that its archive has, and ``took_s`` how long all of it took.
    """

    snapshot: Snapshot
    stopped: Sequence[Stoppage]
    durable: bool
    placement: Placement | None
    orders_waiting: Sequence[int]
    archived: Sequence[int]
    took_s: float

    @property
    def parts(self) -> Sequence[Snapshot]:
        """The snapshot of each partition; of a system without partitions its own."""
        return self.snapshot.parts or (self.snapshot,)


@dataclass(frozen=True)
class Family:
    """The series of the metric of this name, or the counts of one that is a histogram."""

    name: str
    rows: Sequence[Row] = ()
    histogram: Histogram | None = None


def family(name: str, rows: Iterable[Row]) -> Family:
    """The metric of this name with its series."""
    return Family(name, list(rows))


def one(name: str, value: float) -> Family:
    """A metric of one series without labels."""
    return Family(name, [((), value)])


def system_families(gathered: Gathered) -> Iterator[Family]:
    """Everything that the state of the system says."""
    snapshot, config = gathered.snapshot, gathered.snapshot.config
    expected = Counter(found.expected for found in gathered.stopped if not found.trades_on)
    info = (config.exposure_mode, unit_text(config), config.currency)
    yield family("mm_system_info", [(info, 1)])
    yield one("mm_configuration_version", config.version)
    yield one("mm_durable", gathered.durable)
    yield family("mm_stoppages", [((str(one).lower(),), expected[one]) for one in (False, True)])
    yield from _flow(gathered)
    yield from _exposure(gathered)
    yield from _symbols(snapshot)
    yield from _processes(snapshot, {found.cause for found in gathered.stopped})
    entries = [((name,), stream.length) for name, stream in snapshot.streams.items()]
    yield family("mm_stream_entries", entries)
    yield one("mm_scrape_seconds", gathered.took_s)


def _flow(gathered: Gathered) -> Iterator[Family]:
    """What each partition has processed, and what waits for it."""
    parts = [(str(number), part) for number, part in enumerate(gathered.parts)]
    cursors = [(number, part.cursors) for number, part in parts]
    yield family("mm_orders_total", [((n,), one.exchange_records) for n, one in cursors])
    yield family("mm_fills_committed_total", [((n,), one.state_records) for n, one in cursors])
    lags = [((n, name), ms / 1000) for n, part in parts for name, ms in part.lag_ms.items()]
    yield family("mm_lag_seconds", lags)
    waiting = enumerate(gathered.orders_waiting)
    yield family("mm_orders_waiting", [((str(n),), count) for n, count in waiting])
    yield family("mm_fills_waiting", [((n,), _uncommitted(part)) for n, part in parts])
    both = zip(parts, gathered.archived, strict=True)
    behind = [((n,), max(0, _committed(part) - archived)) for (n, part), archived in both]
    yield family("mm_fills_unarchived", behind)


def _committed(part: Snapshot) -> int:
    return sum(one.position.position_version for one in part.symbols.values())


def _uncommitted(part: Snapshot) -> int:
    states = part.symbols.values()
    # Those of many symbols are not of one instant: a fill may be committed in between.
    return sum(max(0, one.fill_seq - one.position.position_version) for one in states)


def _exposure(gathered: Gathered) -> Iterator[Family]:
    """Both budgets: the limit, each partition's part of it, and what is reserved."""
    snapshot, parts = gathered.snapshot, list(enumerate(gathered.parts))
    both = budgets(snapshot)
    yield family("mm_exposure_limit_units", [((one.name,), one.limit_units) for one in both])
    leases = [((str(n),), part.exposure.limit_units) for n, part in parts]
    yield family("mm_exposure_lease_units", leases)
    used = [((str(n), one.name), one.used_units) for n, part in parts for one in budgets(part)]
    yield family("mm_exposure_reserved_units", used)
    yield family("mm_symbols_waiting", [((one.name,), len(one.waiting)) for one in both])
    waiting = sorted({name for one in both for name in one.waiting})
    yield family("mm_symbol_waiting", [((name,), 1) for name in waiting])
    rows = [row for row in partition_rows(snapshot, gathered.placement) if row.replicas]
    followed = [row for row in rows if row.followers is not None]
    yield family("mm_replicas", [((str(row.number),), row.followers or 0) for row in followed])
    yield family("mm_replicas_wanted", [((str(row.number),), row.replicas) for row in rows])


def _symbols(snapshot: Snapshot) -> Iterator[Family]:
    """The symbols: how many there are of which kind, and each of them."""
    states = snapshot.symbols
    modes = Counter(snapshot.mode_of(name) for name in states)
    yield one("mm_symbols", symbol_count(snapshot))
    yield one("mm_symbols_quoted", active_quotes(snapshot))
    yield family("mm_symbols_in_mode", [((mode,), modes[mode]) for mode in MODES])
    stopped = [((name, why), 1.0) for name in states for why in _whys(snapshot, name)]
    yield family("mm_symbol_stopped", stopped)
    quoted = [((name,), float(state.quote is not None)) for name, state in states.items()]
    yield family("mm_quote_active", quoted)
    yield family("mm_fills_total", [((name,), one.fill_seq) for name, one in states.items()])
    yield family("mm_quotes_total", [((name,), one.quote_version) for name, one in states.items()])
    yield family("mm_position", [((name,), _net(state)) for name, state in states.items()])
    yield family("mm_profit", _profits(snapshot))


def _whys(snapshot: Snapshot, name: str) -> Iterator[str]:
    """Why a symbol is not quoted freely."""
    state, mode = snapshot.symbols[name], snapshot.mode_of(name)
    if state.halted:
        yield "integrity_error"
    if state.frozen:
        yield "protection"
    if state.closed:
        yield "closed"
    elif mode != "active":
        yield mode


def _net(state: SymbolState) -> float:
    return float(state.symbol.quantity(state.position.net_lots))


def _profits(snapshot: Snapshot) -> Iterator[Row]:
    for name, state in snapshot.symbols.items():
        currency = snapshot.config.currency_of(state.symbol)
        profit = profit_of(state, mark_of(state))
        yield (name, currency, "spread"), float(profit.spread)
        yield (name, currency, "inventory"), float(profit.inventory)


def _processes(snapshot: Snapshot, causes: Collection[str]) -> Iterator[Family]:
    """Which processes live, and what they say that they have done since their start."""
    rows = [row for row in process_rows(snapshot) if row.kind != _CLIENT]
    yield family("mm_process_live", [((row.name, row.kind), row.state == "live") for row in rows])
    silent = [((row.name,), row.silent_ms / 1000) for row in rows if row.silent_ms is not None]
    yield family("mm_process_silent_seconds", silent)
    yield family("mm_process_restarts_total", [((row.name,), row.restarts) for row in rows])
    archivists = [row.name for row in rows if row.kind == "archivist"]
    troubles = [((name,), f"{TROUBLE} {name}" in causes) for name in archivists]
    yield family("mm_archivist_trouble", troubles)
    heard = snapshot.processes
    done = {row: heard[row.name].done for row in rows if row.name in heard}
    yield family("mm_quotes_expired_total", _counted(done, "expired"))
    exchanges = {row: counts for row, counts in done.items() if row.kind == "exchange"}
    yield family("mm_orders_rejected_total", _counted(exchanges, "rejected", "foreign"))
    yield family("mm_orders_duplicate_total", _counted(exchanges, "duplicates"))
    makers = {row: counts for row, counts in done.items() if row.kind == "maker"}
    outcomes = ("granted", "reduced", "omitted")
    yield family("mm_proposals_total", _by_name(makers, outcomes))
    yield family("mm_proposals_refused_total", _by_name(makers, REFUSALS))


def _counted(done: Mapping[ProcessRow, Mapping[str, int]], *names: str) -> Iterator[Row]:
    for row, counts in done.items():
        if row.kind != "up":
            yield (row.name,), sum(counts.get(name, 0) for name in names)


def _by_name(done: Mapping[ProcessRow, Mapping[str, int]], names: Iterable[str]) -> Iterator[Row]:
    for row, counts in done.items():
        yield from (((row.name, name), counts.get(name, 0)) for name in names)


def followed_families(counts: Counts) -> Iterator[Family]:
    """What the reader has counted."""
    for until, histogram in counts.latency.items():
        yield Family(f"mm_order_{until}_seconds", histogram=histogram)
    yield family("mm_latency_lost_total", [((until,), n) for until, n in counts.lost.items()])
    yield family("mm_follow_skips_total", _rows(counts.skips))
    yield family("mm_dead_letters_total", list(counts.dead_letters.items()))
    yield family("mm_lifecycle_events_total", _rows(counts.lifecycle))


def _rows(counts: Mapping[str, int]) -> list[Row]:
    return [((name,), count) for name, count in dict(counts).items()]


def audit_families(verdict: Verdict) -> Iterator[Family]:
    """The verdict of the last audit."""
    yield one("mm_audit_violations", verdict.violations)
    yield one("mm_audit_timestamp_seconds", verdict.at_ms / 1000)
