"""What the faults of `mm chaos` do to the files of a server."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from mm.archive import Archive
from mm.audit import audit
from mm.host import Shape
from mm.interrupts import Stop
from mm.lab.chaos.archive_faults import keep_archive_copies
from mm.lab.chaos.faults import begin_fault, end_with
from mm.lab.chaos.nodes import NodesSystem
from mm.lab.chaos.outages import begin_outage
from mm.lab.chaos.plan import FaultEvent
from mm.lab.chaos.system import ChaosSystem
from mm.store import Scripts, stream_id_order, take_snapshot
from tests.kit import SERVERS, binary_or_skip
from tests.kit.crash import killable_server

TORN = b"*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$4\r\nlost\r\n$1\r\n"


@SERVERS
@pytest.mark.parametrize("torn_by_the_kill", [0, 1, 700, 2010], ids="lost {}".format)
def test_a_torn_end_replaces_the_one_that_the_kill_left(server: str, torn_by_the_kill: int) -> None:
    """A kill in the middle of a write leaves half of it. The server must load what comes of it."""
    with killable_server(binary_or_skip(server)) as made:
        made.start()
        made.client().set("first", "1")
        made.client().set("second", "x" * 2000)
        made.kill()
        data = made.log.read_bytes()
        made.log.write_bytes(data[: len(data) - torn_by_the_kill])
        end_with(made.log, TORN)
        assert made.log.read_bytes().endswith(TORN)
        made.start()
        assert made.client().get("first") == b"1"
        assert made.client().exists("second") == (torn_by_the_kill == 0)
        assert not made.client().exists("lost")


@pytest.mark.server
def test_a_fault_before_the_first_archive() -> None:
    """There is nothing yet to keep a copy of, and nothing is left in its place."""
    system = ChaosSystem(binary_or_skip("valkey"), 1, lambda: None, Stop())
    archive = system.data_dir.path / "archive.db"
    try:
        for content in (None, b"no archive"):
            if content is not None:
                archive.write_bytes(content)
            keep_archive_copies(system)
            assert not archive.with_name("archive.old").exists()
    finally:
        system.close()


#: A system on one server, and one on a cluster: how one is made, and how a fault begins there.
SYSTEMS: dict[str, tuple[Any, Any]] = {
    "one server": (ChaosSystem, begin_fault),
    "cluster": (partial(NodesSystem, shape=Shape(2, 0), finality=True), begin_outage),
}


@pytest.mark.server
@pytest.mark.slow
@SERVERS
@pytest.mark.parametrize("kind", SYSTEMS)
def test_an_archive_is_harmed(server: str, kind: str) -> None:
    """Archivists say that a disk is full, and that their file is an old one, until that ends.

    The old file was copied at an earlier fault.
    """
    make, begin = SYSTEMS[kind]
    system = make(binary_or_skip(server), seed=1, pulse=lambda: None, stop=Stop())
    try:
        system.open()
        target, (path, scripts) = list(system.archives.items())[-1]
        system.until("an archive", lambda: bool(scripts.archive_state().heads), 60)
        begin(system, FaultEvent("kill-process", target, 0)).end()
        with Archive(path.with_suffix(".old")) as archive:
            last = archive.last_id
        system.until(
            "fills that it lacks have left the ledger",
            lambda: stream_id_order(scripts.archive_state().trimmed_to) > last,
            120,
        )
        for fault, words in (("fill-disk", "archive"), ("old-archive", "older")):
            effect = begin(system, FaultEvent(fault, target, 0, 100))
            assert effect.applied()
            system.until(f"the refusal, {words}", lambda: words in said(scripts), 30)  # noqa: B023  # it is called within the turn
            effect.end()
            system.until("the end of it", lambda: words not in said(scripts), 30)  # noqa: B023  # likewise
        assert audit(system.scripts).ok
    finally:
        system.close()


def said(scripts: Scripts) -> str:
    """What the archivists say of their archive."""
    found = take_snapshot(scripts)
    return " ".join(
        one.trouble for name, one in found.processes.items() if name.startswith("archivist")
    )
