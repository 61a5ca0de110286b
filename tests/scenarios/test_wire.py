"""The wire: no port unless asked for, then never without a password, and TLS."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
from redis.exceptions import AuthenticationError, ResponseError

from mm.store import open_client
from tests.kit import SERVERS, binary_or_skip, wait_for
from tests.kit.certificates import make_certificates
from tests.kit.commands import run_mm
from tests.kit.running import RunningSystem

pytestmark = pytest.mark.server


@dataclass(frozen=True)
class Authority:
    """A directory of certificates of one authority; ``client`` has a client's in one file."""

    directory: Path
    client: Path

    @classmethod
    def make(cls, directory: Path) -> Authority:
        """Make an authority, the server's certificate and a client's."""
        authority = make_certificates(directory)
        client = authority.issue_cert("client@example.org")
        client.private_key_and_cert_chain_pem.write_to_path(directory / "client.pem")
        return cls(directory, directory / "client.pem")

    def url(self, port: int, user: str, secret: str, shown: bool = True) -> str:
        """The URL of a user who shows a certificate, or none."""
        words = [f"ssl_ca_certs={quote(str(self.directory / 'ca.crt'))}"]
        if shown:
            words += [f"ssl_{what}={quote(str(self.client))}" for what in ("certfile", "keyfile")]
        return f"rediss://{user}:{secret}@127.0.0.1:{port}/0?{'&'.join(words)}"


@pytest.fixture
def port() -> int:
    """A port of this machine that is free now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[Authority]:
    """An authority with certificates."""
    yield Authority.make(tmp_path / "tls")


def secret_of(system: RunningSystem, user: str) -> str:
    """The secret of a user."""
    return (system.data_dir / "secrets" / user).read_text().strip()


def run_by_url(
    url: str, *words: str, directory: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command that finds the system by this URL alone; its logs go to the directory."""
    environment = {name: value for name, value in os.environ.items() if name != "MM_DATA_DIR"}
    if directory is not None:
        environment["MM_DATA_DIR"] = str(directory)
    return run_mm(*words, environment=environment | {"MM_REDIS_URL": url}, timeout_s=60)


@SERVERS
def test_a_port_on_loopback(system: RunningSystem, server: str, port: int) -> None:
    """There is none unless asked for; then only a user with its secret may do anything."""
    system.start("--server", str(binary_or_skip(server)))
    assert listening(system.server_pid()) == []
    assert system.stop()[0] == 0
    system.start("--server", str(binary_or_skip(server)), "--listen", f"127.0.0.1:{port}")
    assert listening(system.server_pid()) == [port]
    with pytest.raises(AuthenticationError):
        redis.Redis(port=port).ping()
    with pytest.raises(AuthenticationError):
        redis.Redis(port=port, username="viewer", password="x" * 64).ping()
    url = f"redis://viewer:{secret_of(system, 'viewer')}@127.0.0.1:{port}/0"
    done = run_by_url(url, "status", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["orders"] > 0
    code, said = system.stop()
    assert code == 0, said
    assert f"the server listens on 127.0.0.1:{port}, without TLS" in said


def listening(pid: int) -> list[int]:
    """The TCP ports on which a process listens."""
    inodes = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            name = str(path.readlink())
            if name.startswith("socket:["):
                inodes.add(name[8:-1])
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and words[9] in inodes:
                found.append(int(words[1].rpartition(":")[2], 16))
    return found


def test_tls(system: RunningSystem, port: int, authority: Authority, tmp_path: Path) -> None:
    """Over TLS a client needs a certificate of the authority and its secret, and then trades."""
    place = ("--listen", f"127.0.0.1:{port}", "--tls", str(authority.directory))
    system.start("--server", str(binary_or_skip("redis")), *place)
    for url in (
        authority.url(port, "viewer", secret_of(system, "viewer"), shown=False),
        f"redis://viewer:{secret_of(system, 'viewer')}@127.0.0.1:{port}/0",
        Authority.make(tmp_path / "other").url(port, "viewer", secret_of(system, "viewer")),
        authority.url(port, "viewer", "0" * 64),
    ):
        done = run_by_url(url, "status", "--json")
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        assert "Traceback" not in done.stderr
        assert secret_of(system, "viewer") not in done.stderr
    done = run_by_url(authority.url(port, "viewer", secret_of(system, "viewer")), "status")
    assert done.returncode == 0, done.stderr
    as_operator = authority.url(port, "operator", secret_of(system, "operator"))
    words = ("order", "AAPL", "buy", "1", "1000", "--json")
    done = run_by_url(as_operator, *words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "filled"
    as_client = authority.url(port, "publisher-7", secret_of(system, "publisher-7"))
    with pytest.raises(ResponseError):
        open_client(as_client).set("x", "y")
    sending = ("publisher", "--id", "7", "--orders", "20", "--rate", "0")
    done = run_by_url(as_client, *sending, directory=tmp_path / "away")
    assert done.returncode == 0, done.stderr
    assert "sent 20" in done.stdout
    code, said = system.stop()
    assert code == 0, said
    assert f"the server listens on 127.0.0.1:{port}, with TLS and client certificates" in said


def test_a_server_without_tls(tmp_path: Path, port: int, authority: Authority) -> None:
    """The bundled Valkey has none: `mm up` says so and ends, and the directory still works."""
    binary_or_skip("valkey")
    place = ("--listen", f"127.0.0.1:{port}", "--tls", str(authority.directory))
    done = run_mm("up", "--headless", "--duration", "1", *place, data_dir=tmp_path / "d")
    assert done.returncode == 1
    assert "cannot listen with TLS" in done.stderr
    assert "name another with --server" in done.stderr
    done = run_mm("up", "--headless", "--duration", "1", data_dir=tmp_path / "d")
    assert done.returncode == 0, done.stdout


@SERVERS
def test_a_port_that_is_taken(tmp_path: Path, server: str) -> None:
    """It is said, and nothing runs on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        words = ("--server", str(binary_or_skip(server)), "--listen", place)
        done = run_mm("up", "--headless", "--duration", "1", *words, data_dir=tmp_path / "d")
    assert done.returncode == 1
    assert "ended while starting" in done.stderr
    wait_for("the end", lambda: not (tmp_path / "d" / "redis.sock").exists())
