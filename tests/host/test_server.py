"""The managed server answers nobody but its owner."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from mm.errors import SystemRefused
from mm.host import DataDir, ManagedServer, ThrowawaySystem
from mm.store import execute, open_client
from tests.kit import SERVERS, binary_or_skip
from tests.kit.backends import server_ms
from tests.kit.crash import trading


@pytest.mark.server
def test_the_server_answers_its_owner_only(tmp_path: Path) -> None:
    """The managed server opens no TCP port, and its directory is closed to other users."""
    with trading("valkey") as (made, world, _):
        assert world.client.config_get("port")["port"] == "0"
        assert made.directory.path.stat().st_mode & 0o777 == 0o700
        assert open_client(made.directory.url).ping()


@pytest.mark.server
@SERVERS
def test_a_foreign_server_in_the_directory_is_left_alone(server: str) -> None:
    """A server that refuses this program is not taken for a dead one: its socket stays."""
    binary = binary_or_skip(server)
    with ThrowawaySystem(partial(ManagedServer, binary=binary), "mm-test-") as made:
        made.start()
        execute(made.scripts.client, "ACL", "SETUSER", "admin", "resetpass", ">pw")
        with pytest.raises(SystemRefused, match="did not start serves there"):
            ManagedServer(made.data_dir, binary).start()
        assert made.data_dir.socket.exists()
        assert made.server.running


@pytest.mark.server
def test_a_server_whose_directory_is_gone_stops(tmp_path: Path) -> None:
    """`mm up` says that it is gone; no failing stop may replace that sentence."""
    server = ManagedServer(DataDir(tmp_path / "data"), binary_or_skip("valkey"))
    server.data_dir.prepare()
    server.start()
    shutil.rmtree(server.data_dir.path)
    server.stop()
    assert not server.running
    assert not server.data_dir.path.exists()


@pytest.mark.server
@SERVERS
def test_the_servers_log_is_in_utc(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The times in the server's own log are those of its clock in UTC, in any time zone."""
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    binary = binary_or_skip(server)
    with ThrowawaySystem(partial(ManagedServer, binary=binary), "mm-test-") as made:
        made.start()
        text = (made.data_dir.logs / "server.log").read_text()
        stamp = re.search(r"\d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2}", text)
        assert stamp is not None, text
        logged = datetime.strptime(stamp[0], "%d %b %Y %H:%M:%S").replace(tzinfo=UTC)
        seconds = server_ms(made.scripts.client) // 1_000
        assert abs(seconds - logged.timestamp()) < 3_600
