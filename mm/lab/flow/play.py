"""Plays one synthetic flow against the system in this process, with no clock in the result.

Exchange, state service and maker are the shipped ones, stepped one after the other. So each order
meets a quote that has answered every fill before it, and the same flow gives the same ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice

from mm.audit import audit
from mm.errors import SystemRefused
from mm.exchange import Exchange
from mm.facts import mark_of, profit_of
from mm.maker import Maker
from mm.market import Config
from mm.orders import FlowOptions, Intent, PartitionClient, synthetic_orders
from mm.process import Process
from mm.state import StateService
from mm.store import Scripts, take_snapshot

CLIENT = "flow"
#: A day: no quote ends by the clock while a flow is played.
LONG_MS = 86_400_000


@dataclass(frozen=True)
class Played:
    """What one flow left: the profit at the marks, and how many orders filled at least in part.

    ``spread`` is the part of the profit that the spread earned (R29).
    """

    profit: Decimal
    spread: Decimal
    filled: int


def play(scripts: Scripts, config: Config, flow: FlowOptions, orders: int) -> Played:
    """Play the first ``orders`` orders of the flow on a server that has no keys of this system.

    SystemRefused when the audit at the end finds a violation.
    """
    lasting = replace(config, quote_ttl_ms=LONG_MS, durability="relaxed", partitions=1, replicas=0)
    scripts.setup(lasting, "0" * 16)
    processes = _processes(scripts)
    client = PartitionClient(scripts.client, scripts.keys, CLIENT)
    # The first round quotes every symbol.
    _step(processes)
    filled = sent = 0
    for batch in _batches(islice(synthetic_orders(lasting.traded, flow), orders)):
        client.send(
            intent.order(CLIENT, f"f-{number}") for number, intent in enumerate(batch, sent + 1)
        )
        sent += len(batch)
        _step(processes)
        filled += sum(report.cum_lots > 0 for report in client.poll())
    verdict = audit(scripts)
    if not verdict.ok:
        wrong = ", ".join(check.name for check in verdict.checks if not check.ok)
        raise SystemRefused(f"the audit after seed {flow.seed} finds violations of {wrong}")
    found = take_snapshot(scripts).symbols.values()
    profits = [profit_of(state, mark_of(state)) for state in found]
    profit, spread = (
        sum(map(Decimal, amounts), Decimal(0))
        for amounts in ([one.total for one in profits], [one.spread for one in profits])
    )
    return Played(profit, spread, filled)


def _processes(scripts: Scripts) -> Sequence[Process]:
    made: list[Process] = []
    for kind in (Exchange, StateService, Maker):
        process = kind(lambda: scripts.client, scripts.keys, durability="relaxed")
        process.attach(scripts)
        if isinstance(process, Maker):
            # It looks at every symbol in every step.
            process.reconcile_s = 0.0
        made.append(process)
    return made


def _step(processes: Sequence[Process]) -> None:
    for process in processes:
        while process.step():
            pass


def _batches(intents: Iterator[Intent]) -> Iterator[list[Intent]]:
    """The orders in groups without a symbol twice: the quotes answer between two of one symbol."""
    batch: list[Intent] = []
    for intent in intents:
        if any(intent.symbol == other.symbol for other in batch):
            yield batch
            batch = []
        batch.append(intent)
    if batch:
        yield batch
