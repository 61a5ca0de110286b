"""The log files: one line for each event, with its time in UTC."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mm.host import ManagedServer, ServerNurse, ThrowawaySystem, log_to_file, logs
from mm.store import open_client
from tests.kit import SERVERS, binary_or_skip


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """The package's log, as it was before afterwards."""
    found = logging.getLogger("mm")
    before = found.handlers[:], found.level, found.propagate
    yield found
    for handler in set(found.handlers) - set(before[0]):
        handler.close()
    found.handlers, found.level, found.propagate = before


def test_times_are_utc_and_say_so(
    log: logging.Logger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line begins with date and time in UTC, with milliseconds and Z, in any time zone."""
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        log_to_file(tmp_path / "logs" / "maker-1.log")
        record = log.makeRecord("mm.maker-1", logging.INFO, "x", 1, "placed", (), None)
        record.created, record.msecs = 1_700_000_000.0, 7.0
        log.handle(record)
    finally:
        monkeypatch.undo()
        time.tzset()
    line = (tmp_path / "logs" / "maker-1.log").read_text()
    assert line == "2023-11-14T22:13:20.007Z INFO mm.maker-1 placed\n"


@pytest.mark.parametrize("detail", [False, True])
def test_details_by_option(log: logging.Logger, tmp_path: Path, detail: bool) -> None:
    """Steps are in the file only with details."""
    path = tmp_path / "logs" / "x.log"
    log_to_file(path, detail)
    logging.getLogger("mm.x-1").debug("one step")
    logging.getLogger("mm.x-1").info("a summary")
    assert [line.split(" ", 1)[1] for line in path.read_text().splitlines()] == [
        *(["DEBUG mm.x-1 one step"] if detail else []),
        "INFO mm.x-1 a summary",
    ]


@pytest.mark.server
@SERVERS
def test_the_log_of_a_server_is_bounded(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full one becomes an older one, of which few are kept; the server goes on in a new file."""
    monkeypatch.setattr(logs, "MAX_BYTES", 1)
    binary = binary_or_skip(server)
    with ThrowawaySystem(lambda data_dir: ManagedServer(data_dir, binary)) as system:
        system.start()
        nurse, place = ServerNurse(system.server, print), system.data_dir.logs
        client = open_client(system.data_dir.url)
        written: set[str] = set()
        for turn in range(logs.KEPT_FILES + 3):
            # A rewrite is some lines of its log.
            client.bgrewriteaof()
            while client.info("persistence")["aof_rewrite_in_progress"]:
                pass
            assert (place / "server.log").stat().st_size > 0, turn
            nurse.tick()
            written = {path.name for path in place.glob("server.log*")}
        assert written >= {f"server.log.{number}" for number in range(1, logs.KEPT_FILES + 1)}
        assert f"server.log.{logs.KEPT_FILES + 1}" not in written
