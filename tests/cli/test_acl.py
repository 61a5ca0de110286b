"""``mm acl``: the users of a server as lines of an ACL file, and further clients (R25)."""

from __future__ import annotations

import json
import stat
from functools import partial
from pathlib import Path

import pytest
from redis.exceptions import NoPermissionError

from mm.host import ManagedServer, ThrowawaySystem
from mm.market import default_config
from mm.store import create_system, execute, hashed, open_client, text
from tests.kit import SERVERS, binary_or_skip
from tests.kit.commands import invoke


def test_lines_of_an_acl_file(tmp_path: Path) -> None:
    """A line for each role, with the key prefix; the hash of a secret only where one is made."""
    lines = invoke("acl").stdout.splitlines()
    assert [line.split()[1] for line in lines] == [
        *("exchange", "state", "maker", "archivist", "balancer"),
        *("viewer", "operator", "publisher-1"),
    ]
    assert not any("#" in line or ">" in line or "nopass" in line for line in lines)
    done = invoke("acl", "maker", "--prefix", "{x}", "--secrets", tmp_path / "s")
    (line,) = done.stdout.splitlines()
    secret = (tmp_path / "s" / "maker").read_text().strip()
    assert line.startswith(f"user maker on #{hashed(secret)} resetchannels ")
    assert " %R~{x}:positions " in line
    assert "{mm}" not in line and secret not in done.output
    assert stat.S_IMODE((tmp_path / "s" / "maker").stat().st_mode) == 0o600
    again = invoke("acl", "maker", "--prefix", "{x}", "--secrets", tmp_path / "s")
    assert again.stdout == done.stdout
    found = json.loads(invoke("acl", "maker", "viewer", "--prefix", "{x}", "--json").stdout)
    assert list(found["users"]) == ["maker", "viewer"]
    assert " %R~{x}:positions " in found["users"]["maker"]


@pytest.mark.parametrize("words", [("nobody",), ("publisher-",), ("maker", "admin")])
def test_no_such_user(words: tuple[str, ...]) -> None:
    """Exit status 2, and what there is."""
    done = invoke("acl", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    roles = "exchange state maker archivist balancer viewer operator"
    assert f"it must be one of {roles}" in done.stderr


def test_add_needs_a_data_directory(tmp_path: Path) -> None:
    """Users are added to the managed server of a directory in which `mm up` has run."""
    done = invoke("acl", "publisher-9", "--add", "--data-dir", tmp_path / "none")
    assert (done.exit_code, "no `mm up` has ever run there" in done.stderr) == (2, True)
    assert not (tmp_path / "none").exists()
    done = invoke("acl", "publisher-9", "--add", "--secrets", tmp_path / "s")
    assert (done.exit_code, "omit --secrets" in done.stderr) == (2, True)
    done = invoke("acl", "maker", "--add", "--redis-url", "redis://localhost:1")
    assert (done.exit_code, "it is for publishers alone" in done.stderr) == (2, True)


@pytest.mark.server
@SERVERS
def test_a_further_client(server: str) -> None:
    """It can log in at once, and still can when the server has been started again."""
    binary = binary_or_skip(server)
    with ThrowawaySystem(partial(ManagedServer, binary=binary), "mm-test-") as made:
        made.start(default_config())
        place = made.data_dir.path
        done = invoke("acl", "publisher-77", "--add", "--data-dir", place)
        assert done.exit_code == 0, done.output
        assert "has the users publisher-77 now, and at each start" in " ".join(done.stdout.split())
        again = invoke(
            "acl", "publisher-77", "publisher-78", "--add", "--json", "--data-dir", place
        )
        assert json.loads(again.stdout) == {
            "users": ["publisher-77", "publisher-78"],
            "running": True,
            "admitted": ["publisher-78"],
        }
        for _ in range(2):
            client = open_client(made.data_dir.url, user="publisher-77")
            line = "publisher-77 AAPL buy 1 1"
            assert text(execute(client, "XADD", "{mm}:inbox:publisher-77", "*", "o1", line))
            with pytest.raises(NoPermissionError):
                execute(client, "XADD", "{mm}:orders", "*", "o1", line)
            assert "publisher-77" in made.scripts.clients()
            client.close()
            made.server.stop()
            made.server.start()


@pytest.mark.server
@SERVERS
def test_a_client_of_an_existing_server(server: str) -> None:
    """There a client gets its inbox; who makes its user is said."""
    with ThrowawaySystem(partial(ManagedServer, binary=binary_or_skip(server)), "mm-test-") as made:
        made.start()
        words = ("acl", "publisher-9", "--add", "--redis-url", made.data_dir.url)
        done = invoke(*words)
        assert (done.exit_code, "no system runs under" in done.stderr) == (1, True), done.output
        create_system(made.scripts, default_config())
        done = invoke(*words)
        assert done.exit_code == 0, done.output
        assert "the exchange reads the inboxes of publisher-9; the ACL file" in done.stdout
        assert made.scripts.clients() == ["publisher-9"]
        found = json.loads(invoke(*words, "--json").stdout)
        assert found == {"users": ["publisher-9"], "running": True, "admitted": []}


@pytest.mark.server
@SERVERS
def test_printed_lines_are_taken(server: str) -> None:
    """A server accepts each printed line, with and without a secret."""
    with ThrowawaySystem(partial(ManagedServer, binary=binary_or_skip(server)), "mm-test-") as made:
        made.start()
        for line in invoke("acl", "--prefix", "{x}").stdout.splitlines():
            _, user, *rules = line.split()
            execute(made.scripts.client, "ACL", "SETUSER", f"x-{user}", *rules)
