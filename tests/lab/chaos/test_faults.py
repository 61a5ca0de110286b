"""What the faults of `mm chaos` do to the files of a server."""

from __future__ import annotations

import pytest

from mm.archive import Archive
from mm.audit import audit
from mm.interrupts import Stop
from mm.lab.chaos.archive_faults import keep_archive_copy
from mm.lab.chaos.faults import begin_fault, end_with
from mm.lab.chaos.plan import FaultEvent
from mm.lab.chaos.system import ChaosSystem
from mm.store import stream_id_order, take_snapshot
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
            keep_archive_copy(system)
            assert not archive.with_name("archive.old").exists()
    finally:
        system.close()


@pytest.mark.server
@pytest.mark.slow
@SERVERS
def test_an_old_archive_strikes(server: str) -> None:
    """Its copy is made at an earlier fault: archivists refuse it, and then have their own again."""
    system = ChaosSystem(binary_or_skip(server), 1, lambda: None, Stop())
    try:
        system.open()
        path = system.data_dir.path / "archive.db"
        system.until("an archive", lambda: bool(system.scripts.archive_state().heads), 30)
        begin_fault(system, FaultEvent("kill-maker", "maker-1", 0)).end()
        with Archive(path.with_name("archive.old")) as archive:
            last = archive.last_id
        system.until(
            "fills that it lacks have left the ledger",
            lambda: stream_id_order(system.scripts.archive_state().trimmed_to) > last,
            60,
        )
        effect = begin_fault(system, FaultEvent("old-archive", "archivist", 0, 100))
        assert effect.applied()
        system.until("the refusal", lambda: "older" in said(system), 30)
        effect.end()
        system.until("the end of it", lambda: "older" not in said(system), 30)
        assert audit(system.scripts).ok
    finally:
        system.close()


def said(system: ChaosSystem) -> str:
    """What the archivists say of their archive."""
    found = take_snapshot(system.scripts)
    return " ".join(
        one.trouble for name, one in found.processes.items() if name.startswith("archivist")
    )
