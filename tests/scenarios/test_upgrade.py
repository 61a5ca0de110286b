"""A data directory of an earlier version continues, or is refused with a way (R31).

The stored one was made by commit d3d4be1 on Redis 7.0: two symbols and some fills, whose records
and positions have no spread. Its log has been rewritten, which makes it small.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mm.archive import Archive
from mm.audit import audit
from mm.host import DataDir, ManagedServer, System, reading
from mm.store import Keys, Scripts, StreamReader, hash_of, take_snapshot
from tests.kit import SERVERS, binary_or_skip, wait_for
from tests.kit.answers import assert_words, run
from tests.kit.running import RunningSystem

pytestmark = [pytest.mark.server, pytest.mark.slow]

STORED = Path(__file__).parent / "data" / "desk-d3d4be1"
SYMBOLS = ("AAPL", "MSFT")


@pytest.fixture
def old() -> Iterator[RunningSystem]:
    """A system over a copy of the stored directory; it does not run yet."""
    with contextlib.closing(RunningSystem()) as system:
        shutil.copytree(STORED, system.data_dir, dirs_exist_ok=True)
        # An empty file and an empty directory are in no repository.
        (system.data_dir / "logs").mkdir()
        (system.data_dir / "appendonlydir" / "appendonly.aof.2.incr.aof").touch()
        yield system


def positions(scripts: Scripts) -> dict[str, dict[str, str]]:
    """The stored fields of each position."""
    keys = scripts.keys
    return {one: hash_of(scripts.client, keys.member("position:*", one)) for one in SYMBOLS}


@SERVERS
def test_an_old_directory_continues(server: str, old: RunningSystem) -> None:
    """It is read as it is, is audited clean, trades on, and new fills bring the new fields."""
    binary = str(binary_or_skip(server))
    with reading(System(DataDir(old.data_dir), None, Keys(), None)) as scripts:
        assert audit(scripts).ok
        before = positions(scripts)
        identity = audit(scripts).system_id
    assert all("twice_spread_ticks" not in one for one in before.values())
    assert all(int(one["position_version"]) > 0 for one in before.values())
    old.start("--server", binary)

    def all_filled() -> bool:
        now = positions(old.scripts())
        return all(
            int(now[one]["position_version"]) > int(before[one]["position_version"])
            for one in SYMBOLS
        )

    wait_for("a fill of each symbol", all_filled, 30)
    code, said = old.stop()
    assert code == 0 and "audit: ok" in said, said
    with reading(System(DataDir(old.data_dir), None, Keys(), None)) as scripts:
        found = audit(scripts)
        assert found.ok and found.system_id == identity
        after = positions(scripts)
        assert all(int(one["twice_spread_ticks"]) > 0 for one in after.values())
        assert take_snapshot(scripts).symbols.keys() == set(SYMBOLS)


def ledger(place: Path) -> list[tuple[bytes, bytes]]:
    """The fills of a stopped directory: name and line."""
    with reading(System(DataDir(place), None, Keys(), None)) as scripts:
        assert audit(scripts).ok
        return [(name, line) for _, name, line in StreamReader(scripts).ledger()]


def test_an_old_ledger_is_archived_and_leaves_the_server(
    old: RunningSystem, tmp_path: Path
) -> None:
    """Its configuration has the defaults of what it lacks. With less to keep, old fills go."""
    before = ledger(old.data_dir)
    assert len(before) > 3 and not list(old.data_dir.glob("archive*"))
    old.start()
    where = ["--data-dir", str(old.data_dir)]
    shown = run("config", "show", *where).out.decode()
    assert {"keep_fills = 100000", "archive_days = 30"} <= set(shown.splitlines())
    wanted = tmp_path / "mm.toml"
    wanted.write_text(shown.replace("keep_fills = 100000", "keep_fills = 1"))
    answer = run("config", "apply", str(wanted), "--why", "less memory", *where)
    assert_words(answer, 0)
    assert "keep_fills" in answer.text
    assert "keep_fills = 1" in run("config", "show", *where).out.decode().splitlines()
    client = old.scripts().client
    wait_for("few fills in the server", lambda: client.xlen("{mm}:fills") < len(before), 30)
    code, said = old.stop()
    assert code == 0 and "audit: ok" in said, said
    after = ledger(old.data_dir)
    assert after[: len(before)] == before
    with Archive(old.data_dir / "archive.db") as archive:
        found = [one.fill_id.encode() for one in archive.fills((0, 0), (2**62, 0))]
    assert found[: len(before)] == [name for name, _ in before]


def test_an_old_directory_is_backed_up(old: RunningSystem, tmp_path: Path) -> None:
    """Before an upgrade: the stored directory itself can be backed up and restored."""
    assert_words(run("backup", str(tmp_path / "b"), "--data-dir", str(old.data_dir)), 0)
    shutil.rmtree(old.data_dir)
    assert_words(run("restore", str(tmp_path / "b"), "--data-dir", str(old.data_dir)), 0)
    with reading(System(DataDir(old.data_dir), None, Keys(), None)) as scripts:
        assert audit(scripts).ok


def test_a_later_directory_is_refused(old: RunningSystem) -> None:
    """A schema that this version does not know is refused by `mm up`, and stays as it is."""
    old.start()
    old.stop()
    server = ManagedServer(DataDir(old.data_dir))
    server.start()
    old.scripts().client.hset("{mm}:config", "schema", "99")
    server.stop()
    answer = run("up", "--headless", "--duration", "1", "--data-dir", str(old.data_dir))
    assert_words(answer, 1, 2)
    assert "schema '99'" in answer.text and "the version of mm that has it" in answer.text
