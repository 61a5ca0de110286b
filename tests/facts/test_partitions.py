"""What a screen and `mm status` say of partitions and nodes."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from mm.facts import node_rows, partition_rows, status_facts, stoppages
from mm.store import Node, Placement, Snapshot, take_snapshot
from mm.terminal import nodes_table, partitions_table
from mm.terminal.partitions_table import partitions_pane
from tests.kit import Fake, World, small_config
from tests.kit.partitioned import Partitioned

NODES = (
    Node("a", "h", 1, "up", "", ((0, 1),)),
    Node("b", "h", 2, "failed", "", ((2, 3),)),
    Node("c", "h", 3, "up", "a", ()),
    Node("d", "h", 4, "up", "", ((4, 5),)),
)
PLACEMENT = Placement(NODES, (NODES[0], None), (1, 0))


@pytest.fixture
def found(fake: Fake) -> Snapshot:
    """Two partitions that want a replica each, with leases."""
    market = Partitioned(fake, small_config(2, partitions=2, limit=100))
    for _ in range(4):
        market.round()
    market.world_of("AAA").propose("AAA")
    return with_replica(take_snapshot(market.root.scripts))


def with_replica(snapshot: Snapshot) -> Snapshot:
    """The same of a system that wants one; the simulated server has none."""
    return replace(snapshot, config=replace(snapshot.config, replicas=1))


def drawn(lines: object, width: int = 100) -> str:
    """What it looks like."""
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(lines)
    return console.export_text()


def test_rows(found: Snapshot) -> None:
    """Each partition has its lease and what it has reserved; where it is, if that is known."""
    first, second = partition_rows(found, PLACEMENT)
    assert (first.primary, first.followers, first.replicas) == ("h:1", 1, 1)
    assert (second.primary, second.followers) == ("", 0)
    assert first.lease_units + second.lease_units <= 100
    assert first.bid_units == first.ask_units > 0 == second.bid_units
    assert (first.quotes, first.symbols) == (1, 1)
    assert [row.primary for row in partition_rows(found)] == ["", ""]
    assert [row.followers for row in partition_rows(found)] == [None, None]


def test_nodes(found: Snapshot) -> None:
    """Primaries with their replicas by partition; witnesses and those without one last."""
    rows = [(row.address, row.role, row.partitions) for row in node_rows(PLACEMENT)]
    assert rows == [
        *[("h:1", "primary", (0,)), ("h:3", "replica", (0,))],
        *[("h:2", "witness", ()), ("h:4", "witness", ())],
    ]
    assert node_rows(None) == []


def test_what_is_not_final_is_said(found: Snapshot) -> None:
    """A partition that lacks a replica stops being final; one that has them is not named."""
    said = [one.words for one in stoppages(found, placement=PLACEMENT)]
    assert [words for words in said if "replicas" in words] == [
        "partition 1 has 0 of 1 replicas: its reports are not final until all follow"
    ]
    assert not [one for one in stoppages(found) if "replicas" in one.words]


def test_a_system_on_one_server_that_fails_over(fake: Fake) -> None:
    """With Sentinels there are no nodes to name, and replicas all the same."""
    snapshot = with_replica(take_snapshot(World(fake, small_config(1)).scripts))
    said = [one.words for one in stoppages(snapshot, placement=Placement((), (None,), (0,)))]
    assert "the server has 0 of 1 replicas: its reports are not final until all follow" in said
    assert partition_rows(snapshot) == []


def test_facts(found: Snapshot) -> None:
    """The same for programs."""
    facts: Any = status_facts(found, PLACEMENT)
    first, second = facts["partitions"]
    assert first["primary"] == "h:1" and second["primary"] is None
    assert first["replicas"] == first["replicas_wanted"] == 1
    assert len(facts["nodes"]) == 4


def test_tables(found: Snapshot) -> None:
    """What lacks stands out in words, not in colour alone; without partitions there are none."""
    text = drawn(partitions_table(found, PLACEMENT))
    assert "0 of 1" in text and "no node has it" in text
    assert "failed" in drawn(nodes_table(PLACEMENT))
    assert "replicas" not in drawn(partitions_table(found, None))
    assert nodes_table(None) is None


@pytest.mark.parametrize("width", [30, 60, 120])
@pytest.mark.parametrize("height", [0, 1, 2, 3, 4, 9])
def test_the_pane_fits(found: Snapshot, width: int, height: int) -> None:
    """It keeps to its lines and cells, and says what it leaves out."""
    lines = partitions_pane(found, PLACEMENT, width, height)
    assert len(lines) <= height
    assert all(line.cell_len <= width for line in lines)
    if height == 9:
        assert "nodes 4" in lines[-1].plain
        if width > 60:
            assert "h:2 failed" in lines[-1].plain
