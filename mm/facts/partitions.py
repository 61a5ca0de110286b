"""The partitions of a system, and the nodes that have them, as plain facts."""

from __future__ import annotations

from dataclasses import dataclass

from mm.facts.quotes import active_quotes, symbol_count
from mm.store import Placement, Snapshot


@dataclass(frozen=True)
class PartitionRow:
    """One partition: its part of the limit, what it has reserved of it, and where it is.

    ``primary`` is the address of its node, empty where no node has it or one server has all.
    ``followers`` of ``replicas`` wanted ones follow it; None without replicas.
    """

    number: int
    symbols: int
    quotes: int
    lease_units: int
    bid_units: int
    ask_units: int
    lag_ms: int
    primary: str
    followers: int | None
    replicas: int


@dataclass(frozen=True)
class NodeRow:
    """One node: its address, ``primary``, ``replica`` or ``witness``, of which partitions."""

    address: str
    role: str
    partitions: tuple[int, ...]
    state: str


def partition_rows(snapshot: Snapshot, placement: Placement | None = None) -> list[PartitionRow]:
    """The partitions; none of a system that has none and one server."""
    rows = []
    parts = snapshot.parts or ((snapshot,) if placement is not None else ())
    for number, part in enumerate(parts):
        owner = followers = None
        if placement is not None:
            owner = placement.owners[number]
            followers = placement.followers[number]
        rows.append(
            PartitionRow(
                number,
                symbol_count(part),
                active_quotes(part),
                part.exposure.limit_units,
                part.exposure.bid_units,
                part.exposure.ask_units,
                max(part.lag_ms.values(), default=0),
                owner.address if owner is not None else "",
                followers,
                snapshot.config.replicas,
            )
        )
    return rows


def node_rows(placement: Placement | None) -> list[NodeRow]:
    """The nodes of the cluster, by partition: primaries, their replicas, then witnesses."""
    if placement is None:
        return []
    rows = [
        NodeRow(node.address, placement.role(node), tuple(placement.of(node)), node.state)
        for node in placement.nodes
    ]
    return sorted(rows, key=lambda row: (row.partitions or (1_000,), row.role, row.address))


def short_of_replicas(snapshot: Snapshot, placement: Placement | None) -> list[PartitionRow]:
    """The partitions of which nothing becomes final now: fewer replicas follow than must."""
    return [
        row
        for row in partition_rows(snapshot, placement)
        if row.followers is not None and row.followers < row.replicas
    ]


def partitions_facts(snapshot: Snapshot, placement: Placement | None) -> dict[str, object]:
    """Partitions and nodes for ``mm status --json``."""
    amount = snapshot.config.exposure_amount
    partitions = [
        {
            "partition": row.number,
            "symbols": row.symbols,
            "quotes_active": row.quotes,
            "lease": str(amount(row.lease_units)),
            "reserved_bid": str(amount(row.bid_units)),
            "reserved_ask": str(amount(row.ask_units)),
            "lag_ms": row.lag_ms,
            "primary": row.primary or None,
            "replicas": row.followers,
            "replicas_wanted": row.replicas,
        }
        for row in partition_rows(snapshot, placement)
    ]
    nodes = [
        {
            "address": row.address,
            "role": row.role,
            "partitions": list(row.partitions),
            "state": row.state,
        }
        for row in node_rows(placement)
    ]
    return {"partitions": partitions, "nodes": nodes}
