"""The log files: one line for each event, with its time in UTC."""

from __future__ import annotations

import json
import logging
import re
import time
from pathlib import Path

import pytest

from mm.host import (
    LogFormat,
    LogOptions,
    ManagedServer,
    ServerNurse,
    ThrowawaySystem,
    log_to_file,
    logs,
)
from mm.log_event import LogEvent
from mm.store import open_client
from tests.kit import SERVERS, binary_or_skip


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
    log_to_file(path, LogOptions(detail))
    logging.getLogger("mm.x-1").debug("one step")
    logging.getLogger("mm.x-1").info("a summary")
    assert [line.split(" ", 1)[1] for line in path.read_text().splitlines()] == [
        *(["DEBUG mm.x-1 one step"] if detail else []),
        "INFO mm.x-1 a summary",
    ]


def json_lines(path: Path) -> list[dict[str, object]]:
    """The lines of a log, each of which must be one JSON object of whole characters."""
    text = path.read_bytes().decode("ascii")
    assert text.endswith("\n")
    found = []
    for line in text[:-1].split("\n"):
        made = json.loads(line)
        # Half characters could be read here, and by nobody else.
        json.dumps(made, ensure_ascii=False).encode("utf-8")
        found.append(made)
    return found


def test_json_lines(log: logging.Logger, tmp_path: Path) -> None:
    """An event is its name and its facts; any other line is a note. Both say when and who."""
    path = tmp_path / "x.log"
    log_to_file(path, LogOptions(detail=True, form="json"))
    maker = logging.getLogger("mm.maker-1")
    maker.debug(LogEvent("quoted", {"symbol": "AAA", "lots": 3, "process": "x"}))
    maker.info("live %s", "maker-1 maker-2")
    try:
        raise ValueError("no\nway")
    except ValueError:
        maker.exception("failed")
    event, note, failed = json_lines(path)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(event.pop("at")))
    assert event == {
        "level": "debug",
        "process": "maker-1",
        "event": "quoted",
        "symbol": "AAA",
        "lots": 3,
    }
    assert (note["event"], note["text"]) == ("note", "live maker-1 maker-2")
    assert "ValueError: no\nway" in str(failed["error"])


CONTROLS = ("a\nb", "\r\n", "\x00\x07\x1b[31m", "\u2028\u0085")
RUBBISH = (*CONTROLS, "\ud800", "x\udcffy", '"}', "\\", "ä€😀", "", "x" * 10_000)


@pytest.mark.parametrize("rubbish", RUBBISH, ids=ascii)
@pytest.mark.parametrize("form", ["text", "json"])
def test_rubbish_stays_in_one_line(
    log: logging.Logger, tmp_path: Path, rubbish: str, form: LogFormat
) -> None:
    """Whatever a fact holds, its event is one line, and in JSON a valid one with all else whole."""
    path = tmp_path / "x.log"
    log_to_file(path, LogOptions(form=form))
    logging.getLogger("mm.x-1").info(LogEvent("first", {"order": rubbish, rubbish: rubbish}))
    logging.getLogger("mm.x-1").info(LogEvent("last", {}))
    if form == "text":
        lines = path.read_bytes().decode().split("\n")
        assert " INFO mm.x-1 first order=" in lines[0]
        assert lines[0].isprintable()
        assert lines[1].endswith(" INFO mm.x-1 last")
        assert lines[2:] == [""]
        return
    logging.getLogger("mm.x-1").info("said %s", rubbish)
    first, last, said = json_lines(path)
    whole = rubbish.encode("utf-8", "replace").decode()
    assert (first["event"], first["order"], last["event"]) == ("first", whole, "last")
    assert said["text"] == f"said {whole}"


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
