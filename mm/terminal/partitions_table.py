"""The partitions of a system and the nodes that have them, for commands and for the live view."""

from __future__ import annotations

from rich.text import Text

from mm.facts import PartitionRow, node_rows, partition_rows
from mm.market import Config
from mm.store import Placement, Snapshot
from mm.terminal.columns import Column, FittedTable, choose, lines_of
from mm.terminal.draw import BAD, QUIET, cut, duration, grouped, grouped_decimal

_STATES = {"up": "", "suspected": "bold yellow", "failed": f"bold {BAD}"}


def _replicas(row: PartitionRow) -> Text:
    if row.followers is None:
        return Text("-", QUIET)
    short = row.followers < row.replicas
    return Text(f"{row.followers} of {row.replicas}", f"bold {BAD}" if short else "")


def _columns(config: Config, rows: list[PartitionRow]) -> list[Column]:
    def amount(units: int) -> Text:
        return Text(grouped_decimal(config.exposure_amount(units)))

    columns = [
        Column("partition", [Text(str(row.number)) for row in rows], right=False),
        Column("lease", [amount(row.lease_units) for row in rows], 1),
        Column("bid", [amount(row.bid_units) for row in rows], 2),
        Column("ask", [amount(row.ask_units) for row in rows], 2),
        Column("quotes", [Text(f"{row.quotes}/{grouped(row.symbols)}") for row in rows], 5),
        Column("lag", [Text(duration(row.lag_ms)) for row in rows], 6),
    ]
    if any(row.followers is not None for row in rows):
        columns.insert(1, Column("replicas", [_replicas(row) for row in rows], 3))
    if any(row.primary for row in rows):
        addresses = [
            Text(row.primary or "no node has it", "" if row.primary else BAD) for row in rows
        ]
        columns.insert(1, Column("primary", addresses, 4, right=False))
    return columns


def partitions_table(snapshot: Snapshot, placement: Placement | None) -> FittedTable | None:
    """Each partition: where it is, its lease, and what it has reserved of it; None without any."""
    rows = partition_rows(snapshot, placement)
    if not rows:
        return None
    return FittedTable("Partitions", _columns(snapshot.config, rows))


def nodes_table(placement: Placement | None) -> FittedTable | None:
    """Each node of the cluster: what it is, and of which partitions; None without any."""
    rows = node_rows(placement)
    if not rows:
        return None
    columns = [
        Column("node", [Text(row.address) for row in rows], right=False),
        Column("role", [Text(row.role) for row in rows], 1, right=False),
        Column(
            "of partition",
            [Text(" ".join(map(str, row.partitions)) or "-") for row in rows],
            2,
            right=False,
        ),
        Column("state", [Text(row.state, _STATES[row.state]) for row in rows], 1, right=False),
    ]
    return FittedTable("Nodes", columns)


def partitions_pane(
    snapshot: Snapshot, placement: Placement | None, width: int, height: int
) -> list[Text]:
    """The partitions in at most ``height`` lines, and a line on the nodes that are not up."""
    rows = partition_rows(snapshot, placement)
    if not rows:
        return []
    nodes = node_rows(placement)
    gone = [f"{row.address} {row.state}" for row in nodes if row.state != "up"]
    witnesses = sum(row.role == "witness" for row in nodes)
    lines = []
    if nodes:
        words = f"nodes {len(nodes)}" + (f", {witnesses} of them witnesses" if witnesses else "")
        if gone:
            line = Text.assemble(f"{words}: ", (", ".join(gone), f"bold {BAD}"))
        else:
            line = Text(f"{words}, all up", QUIET)
        lines.append(cut(line, width))
    room = height - len(lines) - 1
    if room < min(len(rows), 2):
        return lines[:height]
    shown = rows if len(rows) <= room else rows[: room - 1]
    found = lines_of(choose(_columns(snapshot.config, shown), width), width, max_gap=3)
    if len(rows) > len(shown):
        found.append(cut(Text(f"and {len(rows) - len(shown)} more", "italic"), width))
    return [*found, *lines]
