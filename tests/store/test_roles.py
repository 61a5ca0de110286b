"""The roles: each user may do what its job needs, and nothing else, on both servers (R25)."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import redis
from redis.exceptions import AuthenticationError, NoPermissionError

from mm.errors import SystemRefused, ValueRefused
from mm.host import ManagedServer, ThrowawaySystem
from mm.market import default_config
from mm.store import (
    ROLES,
    Keys,
    Scripts,
    acl_rules,
    client_role,
    execute,
    open_client,
    script_names,
    secret_of,
    text,
)
from mm.store.keys import CATALOGUE
from mm.store.lua import key_names, only_reads, read_names, runner
from mm.store.roles import ADMIN, digest
from tests.kit import SERVERS, binary_or_skip, wait_for
from tests.kit.commands import run_mm
from tests.kit.running import RunningSystem

ROOT = Path(__file__).resolve().parents[2]
KEYS = Keys()
USERS = (
    *("exchange", "state", "maker", "archivist", "balancer"),
    *("publisher-1", "viewer", "operator"),
)
PRESENCE = {"processes", "process:*", "lifecycle", "server"}
#: What ends an expired quote, which every process may do.
EXPIRY = {"exposure", "expiry", "quotes", "quote:*", "reservation:*"}
#: User -> the keys that it may write, and those that it may read besides.
WRITES: dict[str, set[str]] = {
    "exchange": PRESENCE
    | EXPIRY
    | {"cursors", "orders", "fills", "deadletter", "symbol:*", "reports:*", "seen:*"}
    | {"clients", "inbox:*"},
    "state": PRESENCE
    | EXPIRY
    | {"cursors", "positions", "deadletter", "waiting:bid", "waiting:ask"}
    | {"position:*", "operations", "window:*"},
    "maker": PRESENCE | EXPIRY | {"waiting:bid", "waiting:ask", "symbol:*"},
    "archivist": PRESENCE | {"archive", "archived", "fills"},
    "balancer": PRESENCE | {"lease", "treasury"},
    "publisher-1": set(),
    "viewer": set(),
    "operator": set(CATALOGUE)
    - {"fills", "reports:*", "seen:*", "deadletter", "window:*", "archive", "archived"},
}
READS = {
    "exchange": WRITES["exchange"] | {"config", "control", "terms:*", "position:*"},
    "state": WRITES["state"] | {"config", "fills", "symbol:*", "terms:*"},
    "maker": WRITES["maker"] | {"config", "control", "terms:*", "position:*", "positions", "lease"},
    "archivist": WRITES["archivist"]
    | {"config", "terms:*", "position:*", "orders", "quotes", "operations", "cursors", "seen:*"},
    "balancer": WRITES["balancer"]
    | {"config", "terms:*", "exposure", "expiry", "waiting:bid", "waiting:ask", "reservation:*"},
    "publisher-1": {"config", "terms:*", "quote:*", "quotes", "clients", "routes"},
    "viewer": set(CATALOGUE),
    "operator": set(CATALOGUE),
}
SCRIPTS: dict[str, set[str]] = {
    "exchange": {"collect", "match", "expire", "heartbeat", "farewell"},
    "state": {"commit", "expire", "heartbeat", "farewell"},
    "maker": {"survey", "place", "expire", "heartbeat", "farewell"},
    "archivist": {"trim", "heartbeat", "farewell"},
    "balancer": {"lease", "treasury", "heartbeat", "farewell"},
    "publisher-1": set(),
    "viewer": {"snapshot", "survey"},
    "operator": set(script_names())
    - {"collect", "match", "commit", "place", "trim", "lease", "treasury"},
}
#: What an operator's scripts call on hashes.
OPERATOR_WRITES = {"HSET", "HDEL", "DEL", "HINCRBY", "PEXPIRE"}
Commands = list[tuple[str, ...]]
#: Type of a key -> commands that read it, and that write it; ``KEY`` stands for the key.
BY_TYPE: dict[str, tuple[Commands, Commands]] = {
    "hash": ([("HGET", "KEY", "f"), ("HGETALL", "KEY")], [("HSET", "KEY", "f", "v")]),
    "zset": (
        [("ZRANGE", "KEY", "0", "-1"), ("ZSCORE", "KEY", "m")],
        [("ZADD", "KEY", "1", "m")],
    ),
    "stream": (
        [("XRANGE", "KEY", "-", "+"), ("XREAD", "STREAMS", "KEY", "0")],
        [("XADD", "KEY", "*", "f", "v")],
    ),
    "list": ([("LINDEX", "KEY", "0"), ("LRANGE", "KEY", "0", "-1")], [("RPUSH", "KEY", "v")]),
}
#: What only the admin may do.
FOR_THE_ADMIN = [
    *[("FLUSHALL",), ("FLUSHDB",), ("SHUTDOWN",), ("SAVE",), ("BGREWRITEAOF",), ("MONITOR",)],
    *[("CONFIG", "SET", "appendonly", "no"), ("CONFIG", "REWRITE"), ("DEBUG", "SLEEP", "1")],
    *[("ACL", "SETUSER", "x"), ("ACL", "LIST"), ("SCRIPT", "FLUSH"), ("SCRIPT", "KILL")],
    *[("EVAL", "return 1", "0"), ("EVALSHA", "0" * 40, "0"), ("FUNCTION", "LOAD", "x")],
    *[
        ("REPLICAOF", "NO", "ONE"),
        ("KEYS", "*"),
        ("CLIENT", "KILL", "ID", "1"),
        ("RENAME", "a", "b"),
    ],
]


@pytest.fixture(scope="module", params=["valkey", "redis"])
def admin(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    """The admin's client of a managed server that holds a system."""
    binary = binary_or_skip(request.param)
    with ThrowawaySystem(partial(ManagedServer, binary=binary), "mm-test-") as made:
        made.start(default_config())
        yield made.scripts.client


def may(admin: redis.Redis, user: str, *words: str) -> bool:
    """Whether the server would let the user run this command."""
    return text(execute(admin, "ACL", "DRYRUN", user, *words)) == "OK"


def key_of(name: str, member: str = "AAPL") -> str:
    """A key of a catalogue name, or a member of a family."""
    return KEYS.member(name, member) if name.endswith("*") else KEYS.named(name)


@pytest.mark.server
@pytest.mark.parametrize("user", USERS)
class TestMatrix:
    @pytest.mark.parametrize("name", CATALOGUE)
    def test_keys(self, admin: redis.Redis, user: str, name: str) -> None:
        """Each user reads and writes the keys that it must, and no others."""
        reading, writing = BY_TYPE[CATALOGUE[name][0]]
        for meant, commands in ((READS, reading), (WRITES, writing)):
            words = [[key_of(name) if one == "KEY" else one for one in line] for line in commands]
            allowed = any(may(admin, user, *line) for line in words)
            assert allowed == (name in meant[user]), f"{user} {words}"

    def test_other_keys(self, admin: redis.Redis, user: str) -> None:
        """No key outside the catalogue is anyone's."""
        for key in ("x", "{mm}:x", "{mm}", "mm:orders"):
            assert not may(admin, user, "HSET", key, "f", "v"), key
            assert not may(admin, user, "XADD", key, "*", "f", "v"), key
            assert not may(admin, user, "HGETALL", key), key

    def test_scripts(self, admin: redis.Redis, user: str) -> None:
        """Each user runs its scripts, with all their keys, and no other text."""
        for script in script_names():
            names = [KEYS.named(name) for name in key_names(script)]
            reads = [KEYS.named(name) for name in read_names(script)]
            words = (runner(script), digest(script), str(len(names)), *names, *reads)
            assert may(admin, user, *words) == (script in SCRIPTS[user]), f"{user} {script}"

    @pytest.mark.parametrize("name", ["terms:*", "control", "config"])
    def test_only_operators(self, admin: redis.Redis, user: str, name: str) -> None:
        """Parameters, modes and the limit are changed by no command that another user has."""
        key = key_of(name)
        lines: Commands = [("HSET", key, "mode", "active"), ("HDEL", key, "mode"), ("DEL", key)]
        lines += [("HINCRBY", key, "limit_units", "1"), ("PEXPIREAT", key, "1"), ("UNLINK", key)]
        lines += [
            ("PEXPIRE", key, "1"),
            ("RENAME", key_of("quote:*"), key),
            ("RESTORE", key, "0", "x"),
        ]
        for words in lines:
            allowed = user == "operator" and words[0] in OPERATOR_WRITES
            assert may(admin, user, *words) == allowed, f"{user} {words}"

    def test_commands(self, admin: redis.Redis, user: str) -> None:
        """What manages the server is the admin's."""
        for words in FOR_THE_ADMIN:
            assert not may(admin, user, *words), f"{user} {words}"
            assert may(admin, "admin", *words), words
        assert may(admin, user, "INFO")
        assert may(admin, user, "CONFIG", "GET", "appendfsync")


@pytest.mark.server
class TestClients:
    def test_a_publisher_reads_its_own_reports_only(self, admin: redis.Redis) -> None:
        """Those of another client, and the orders of all, are closed to it."""
        for command in (("XREAD", "STREAMS"), ("XREVRANGE",)):
            end = ("0",) if command[0] == "XREAD" else ("+", "-")
            own, other = key_of("reports:*", "publisher-1"), key_of("reports:*", "publisher-2")
            assert may(admin, "publisher-1", *command, own, *end)
            assert not may(admin, "publisher-1", *command, other, *end)
            assert not may(admin, "publisher-1", *command, key_of("orders"), *end)

    def test_a_publisher_follows_the_quote_events_only(self, admin: redis.Redis) -> None:
        """Of what the system does it reads quote events, as they come, and nothing else of them."""
        for words in (("XREAD", "STREAMS", "KEY", "0"), ("XREVRANGE", "KEY", "+", "-")):
            for name in ("quotes", "positions", "fills", "orders", "operations", "lifecycle"):
                found = [key_of(name) if word == "KEY" else word for word in words]
                assert may(admin, "publisher-1", *found) == (name == "quotes"), found
        for line in ("XTRIM KEY MAXLEN 0", "XDEL KEY 1-1", "DEL KEY", "XRANGE KEY - +"):
            found = line.replace("KEY", key_of("quotes")).split()
            assert not may(admin, "publisher-1", *found), found
        assert may(admin, "publisher-1", "PTTL", key_of("quote:*"))
        assert not may(admin, "publisher-1", "PTTL", key_of("position:*"))

    def test_a_publisher_appends_to_its_own_inbox_only(self, admin: redis.Redis) -> None:
        """So it can neither send under another name, nor touch what others have sent."""
        own, other = key_of("inbox:*", "publisher-1"), key_of("inbox:*", "publisher-2")
        words = ("*", "o1", "publisher-1 AAPL buy 1 1")
        assert may(admin, "publisher-1", "XADD", own, *words)
        for key in (other, key_of("orders"), key_of("inbox:*", "publisher-11")):
            assert not may(admin, "publisher-1", "XADD", key, *words)
            assert not may(admin, "publisher-1", "XADD", key, "MAXLEN", "0", *words)
        for key in (own, other, key_of("orders"), key_of("reports:*", "publisher-1")):
            for command in (("DEL",), ("XTRIM",), ("XDEL",), ("UNLINK",), ("EXPIRE",)):
                end = {"XTRIM": ("MAXLEN", "0"), "XDEL": ("1-1",), "EXPIRE": ("1",)}
                line = (*command, key, *end.get(command[0], ()))
                assert not may(admin, "publisher-1", *line), line
        assert not may(admin, "publisher-1", "XRANGE", other, "-", "+")

    def test_who_waits_for_replicas(self, admin: redis.Redis) -> None:
        """The write after which reports are final touches the client's own reports only."""
        own, other = key_of("reports:*", "publisher-1"), key_of("reports:*", "publisher-2")
        for user in ("publisher-1", "operator", "balancer"):
            assert may(admin, user, "WAIT", "1", "100")
        assert may(admin, "publisher-1", "PEXPIRE", own, "1000")
        assert may(admin, "operator", "PEXPIRE", other, "1000")
        for user, key in (("publisher-1", other), ("balancer", own), ("viewer", own)):
            assert not may(admin, user, "PEXPIRE", key, "1000")

    def test_nobody_without_a_secret(self, admin: redis.Redis) -> None:
        """A connection that does not log in may do nothing, and a wrong secret logs nobody in."""
        path = admin.connection_pool.connection_kwargs["path"]
        with pytest.raises(AuthenticationError):
            redis.Redis(unix_socket_path=path).ping()
        for user in ("viewer", "operator", "default", "admin"):
            with pytest.raises(AuthenticationError):
                redis.Redis(unix_socket_path=path, username=user, password="0" * 64).ping()

    def test_a_viewer_in_earnest(self, admin: redis.Redis) -> None:
        """It takes snapshots, and the server itself refuses what it may not do."""
        path = admin.connection_pool.connection_kwargs["path"]
        client = open_client(f"unix://{path}", user="viewer")
        assert Scripts(client, KEYS).snapshot()["config"]
        with pytest.raises(NoPermissionError):
            client.hset(key_of("config"), "limit_units", "1")
        with pytest.raises(NoPermissionError):
            Scripts(client, KEYS).expire()


@pytest.mark.server
@SERVERS
def test_the_whole_system_runs_under_its_users(system: RunningSystem, server: str) -> None:
    """Each process is logged in as its role, and no secret is anywhere but in its file."""
    system.start("--server", str(binary_or_skip(server)))
    system.trades_on()
    directory = Path(system.data_dir)
    client = open_client(f"unix://{directory}/redis.sock")
    wanted = {"exchange", "state", "maker", "archivist", "publisher-1", "operator"}

    def users() -> set[str]:
        return {text(one["user"]) for one in client.client_list()}

    wait_for("all roles", lambda: wanted <= users(), 30)
    assert users() <= wanted | {"admin"}
    assert run_mm("status", data_dir=directory).returncode == 0
    assert run_mm("halt", "AAPL", "--why", "a test", data_dir=directory).returncode == 0
    secrets = {path.name: path.read_text().strip() for path in (directory / "secrets").iterdir()}
    assert stat.S_IMODE((directory / "secrets").stat().st_mode) == 0o700
    for name in secrets:
        assert stat.S_IMODE((directory / "secrets" / name).stat().st_mode) == 0o600
    assert len(set(secrets.values())) == len(secrets)
    code, said = system.stop()
    assert code == 0, said
    seen = [said, *(path.read_text(errors="replace") for path in (directory / "logs").iterdir())]
    seen += [(directory / name).read_text() for name in ("server.conf", "users.acl")]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            seen.append(path.read_bytes().decode(errors="replace"))
        except OSError:
            continue
    assert not [name for name, secret in secrets.items() if any(secret in one for one in seen)]


class TestRules:
    def test_every_role_is_in_the_matrix(self) -> None:
        """A new role needs its rows."""
        assert {client_role(user)[0].name for user in USERS} == set(ROLES)

    def test_every_role_is_described(self) -> None:
        """The table of users has a row for each role."""
        table = (ROOT / "docs" / "SECURITY.md").read_text()
        named = re.findall(r"^\| `([a-z]+)(?:-N)?` \|", table, re.MULTILINE)
        assert set(named) == {*ROLES, ADMIN}

    @pytest.mark.parametrize("user", ["", "nobody", "publisher", "publisher-", "admin", "maker-1"])
    def test_no_such_user(self, user: str) -> None:
        """Only a role's users have rules; the error names what there is."""
        with pytest.raises(
            ValueRefused, match="it must be one of exchange state maker archivist balancer"
        ):
            acl_rules(user, "{mm}")

    def test_rights_follow_from_the_scripts(self) -> None:
        """A script that writes nothing asks for no right to write."""
        rules = acl_rules("viewer", "{mm}")
        assert [rule for rule in rules if rule.startswith(("~", "%W", "%RW"))] == []
        assert f"+evalsha_ro|{digest('snapshot')}" in rules
        assert only_reads("snapshot")

    def test_secrets(self, tmp_path: Path) -> None:
        """Without the directory there are no users; with it a missing or bad secret is an error."""
        assert secret_of(tmp_path, "viewer") is None
        place = tmp_path / "secrets"
        place.mkdir()
        with pytest.raises(SystemRefused, match="no secret of the user viewer: `mm acl --add view"):
            secret_of(tmp_path, "viewer")
        (place / "viewer").write_text("short")
        with pytest.raises(SystemRefused, match="it must hold 64 hex digits") as caught:
            secret_of(tmp_path, "viewer")
        assert "short" not in str(caught.value)
        if os.geteuid() != 0:
            (place / "viewer").chmod(0)
            with pytest.raises(SystemRefused, match="cannot be read"):
                secret_of(tmp_path, "viewer")
