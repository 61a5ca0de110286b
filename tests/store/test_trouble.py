"""One voice for trouble: the kind and the words of every error that a server or a network makes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
import redis
from redis.exceptions import RedisError, ResponseError

from mm.errors import DurabilityRefused, SystemRefused, Unavailable
from mm.host import ManagedServer, ThrowawaySystem
from mm.store import (
    Trouble,
    check_durability,
    check_serves,
    execute,
    open_client,
    server_info,
    trouble_of,
)
from tests.kit import SERVERS, binary_or_skip, wait_for
from tests.kit.failing import fail_to_save

WRITE = ("XADD", "probe", "*", "a", "b")


@contextmanager
def own_server(server: str) -> Iterator[redis.Redis]:
    """A server of its own, which the test may spoil; a client of it."""
    binary = binary_or_skip(server)
    with ThrowawaySystem(partial(ManagedServer, binary=binary), "mm-test-") as made:
        made.start()
        yield made.scripts.client


def url_of(client: redis.Redis, user: str = "") -> str:
    """The URL of the client's server, with other credentials."""
    return f"unix://{user}{client.connection_pool.connection_kwargs['path']}"


def failure(client: redis.Redis, *words: str) -> Trouble:
    """What the error of a command means; the test fails when there is none."""
    with pytest.raises((RedisError, OSError)) as raised:
        execute(client, *words)
    return trouble_of(raised.value)


@pytest.mark.server
@SERVERS
class TestOnAServer:
    def test_memory_limit(self, server: str) -> None:
        """At the memory limit the error and INFO both say so, and stop saying so when it ends."""
        with own_server(server) as client:
            assert server_info(client).refusals == {}
            client.config_set("maxmemory", 1)
            found = failure(client, *WRITE)
            assert (found.kind, found.final) == ("refusing_writes", False)
            assert "memory limit" in found.words
            (why,) = server_info(client).refusals.values()
            assert "memory limit" in why
            assert "of 1 bytes" in why
            client.config_set("maxmemory", 0)
            assert server_info(client).refusals == {}

    def test_read_only_replica(self, server: str) -> None:
        """A replica refuses writes: what to do is said, and INFO names the primary."""
        with own_server(server) as client:
            execute(client, "REPLICAOF", "127.0.0.1", "1")
            found = failure(client, *WRITE)
            assert found.kind == "refusing_writes"
            assert "primary with --redis-url" in found.words
            (why,) = server_info(client).refusals.values()
            assert "replica of 127.0.0.1:1" in why
            client.config_set("replica-read-only", "no")
            assert server_info(client).refusals == {}

    def test_too_few_replicas(self, server: str) -> None:
        """A server that asks for more replicas than it has refuses writes, and says so."""
        with own_server(server) as client:
            client.config_set("min-replicas-to-write", 2)
            assert failure(client, *WRITE).kind == "refusing_writes"
            (why,) = server_info(client).refusals.values()
            assert "0 good replicas" in why
            client.config_set("min-replicas-to-write", 0)
            assert server_info(client).refusals == {}

    def test_failed_snapshot(self, server: str) -> None:
        """A server that could not save its snapshot refuses writes (MISCONF), and says so."""
        with own_server(server) as client:
            fail_to_save(client)
            assert failure(client, *WRITE).kind == "refusing_writes"
            assert "disk" in failure(client, *WRITE).words
            check_serves(client)
            (why,) = server_info(client).refusals.values()
            assert "snapshot" in why
            client.config_set("stop-writes-on-bgsave-error", "no")
            assert server_info(client).refusals == {}

    def test_busy(self, server: str) -> None:
        """While a foreign script runs for long the server is not able now: nothing is final."""
        with own_server(server) as client:
            client.config_set("busy-reply-threshold", 50)
            other = open_client(url_of(client))
            until = "redis.call('TIME')[1] + 2"
            script = f"local t = {until} while redis.call('TIME')[1] + 0 < t do end"
            thread = threading.Thread(target=lambda: other.eval(script, 0))
            thread.start()
            try:
                wait_for("BUSY", lambda: busy(client))
                found = failure(client, "PING")
                assert (found.kind, found.answering, found.final) == ("not_now", True, False)
                assert "BUSY" in found.words
                with pytest.raises(Unavailable, match="BUSY"):
                    server_info(client)
            finally:
                thread.join()

    def test_denied(self, server: str) -> None:
        """A missing and a wrong password and a missing right are final, and none is shown."""
        with own_server(server) as client:
            execute(client, "ACL", "SETUSER", "bob", "on", ">s3cr", "~*", "+@all", "-xadd")
            stranger = open_client(url_of(client, "bob:wr0ng@"))
            found = failure(stranger, "PING")
            assert (found.kind, found.final) == ("denied", True)
            assert "refuses the user name or the password" in found.words
            assert "wr0ng" not in found.words
            with pytest.raises(SystemRefused, match="the user name or the password"):
                server_info(stranger)
            found = failure(open_client(url_of(client, "bob:s3cr@")), *WRITE)
            assert (found.kind, found.final) == ("denied", True)
            assert "xadd" in found.words
            without = redis.Redis(unix_socket_path=client.connection_pool.connection_kwargs["path"])
            found = failure(without, "PING")
            assert found.kind == "denied"
            assert "MM_REDIS_URL" in found.words

    def test_unsupported(self, server: str) -> None:
        """A command or a database that the server lacks is final."""
        with own_server(server) as client:
            found = failure(client, "NONSENSE", "s3cr")
            assert (found.kind, found.final) == ("unsupported", True)
            assert "NONSENSE" in found.words
            assert "s3cr" not in found.words
            found = failure(open_client(url_of(client) + "?db=99"), "PING")
            assert found.kind == "unsupported"

    @pytest.mark.parametrize("denied", ["-config", "-info"])
    def test_hidden_settings(self, server: str, denied: str) -> None:
        """Without INFO or CONFIG a server is refused, and accepted with what is declared."""
        with own_server(server) as client:
            execute(client, "ACL", "SETUSER", "bob", "on", ">s3cr", "~*", "+@all", denied)
            found = server_info(open_client(url_of(client, "bob:s3cr@")))
            assert found.hidden
            with pytest.raises(DurabilityRefused, match="CONFIG GET must be allowed"):
                check_durability(found, "always")
            check_durability(found, "relaxed")
            check_durability(found, "declared")
            assert found.weak == ["settings not shown"]

    def test_a_declaration_that_can_be_seen_to_be_wrong(self, server: str) -> None:
        """What the settings show counts more than what an operator says."""
        with own_server(server) as client:
            check_durability(server_info(client), "declared")
            client.config_set("appendfsync", "everysec")
            with pytest.raises(DurabilityRefused, match="appendfsync everysec"):
                check_durability(server_info(client), "declared")


def busy(client: redis.Redis) -> bool:
    """Whether the server answers that a script blocks it."""
    try:
        client.ping()
    except ResponseError as error:
        return str(error).startswith("BUSY")
    return False


class TestWords:
    @pytest.mark.parametrize(
        ("error", "kind", "answering"),
        [
            (redis.exceptions.BusyLoadingError("Redis is loading"), "not_now", True),
            (redis.exceptions.TryAgainError("x"), "not_now", True),
            (redis.exceptions.ClusterDownError("x"), "not_now", True),
            (redis.exceptions.MasterDownError("x"), "not_now", True),
            (redis.exceptions.MovedError("3999 127.0.0.1:1"), "unsupported", True),
            (redis.exceptions.AskError("3999 127.0.0.1:1"), "unsupported", True),
            (redis.exceptions.TimeoutError("Timeout reading"), "not_now", True),
            (redis.exceptions.ConnectionError("max number of clients reached"), "not_now", True),
            (redis.exceptions.ConnectionError("Error 111. Connection refused."), "not_now", False),
            (ConnectionResetError(104, "Connection reset by peer"), "not_now", False),
            (ResponseError("MISCONF Errors writing to the AOF file"), "refusing_writes", True),
            (ResponseError("write error: No space left on device"), "refusing_writes", True),
            (ResponseError("NOPERM no permissions"), "denied", True),
            (ResponseError("unknown subcommand 'x'"), "unsupported", True),
            (ResponseError("WRONGTYPE Operation against a key"), "unknown", True),
            (redis.exceptions.InvalidResponse("Protocol Error: b'H'"), "unknown", True),
            (Unavailable("no system yet"), "not_now", True),
            (SystemRefused("no"), "unknown", True),
        ],
    )
    def test_kind(self, error: Exception, kind: str, answering: bool) -> None:
        """Each error has its kind; only denied and unsupported are final."""
        found = trouble_of(error)
        assert (found.kind, found.answering) == (kind, answering)
        assert found.final is (kind in ("denied", "unsupported"))
        assert found.words
        assert not found.words.endswith(".")
