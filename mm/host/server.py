"""The managed server: the system's own Valkey or Redis, on a Unix socket in its directory."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import redis
from redis.exceptions import BusyLoadingError, RedisError

from mm.errors import SystemRefused, shown_path
from mm.host.binary import allocator, default_binary, ending_with, identify
from mm.host.cluster_shape import NodeListening
from mm.host.datadir import DataDir
from mm.host.listening import Listening
from mm.host.server_conf import write_server_conf
from mm.host.state_file import read_state, sync_directory, write_state
from mm.host.users import make_secrets, server_users
from mm.interrupts import Stop
from mm.store import check_serves, open_client, socket_url, trouble_of

#: Longest wait for a reply to a look at a server that starts.
PROBE_S = 1.0
#: Longest wait for a server that an earlier owner has left to end, and for the first answer of one
#: that was started. Loading may take longer: a server that loads answers.
ORPHAN_S, SILENT_S = 10.0, 120.0

#: Characters of the error with which the server's log ends that are shown.
MAX_LAST_WORDS = 300


class ManagedServer:
    """One server process over one data directory, which the caller must have locked.

    ``say`` gets a line for people when the log is repaired and when loading takes long. ``stop``
    breaks a start off. ``unclean`` is set when the last start found data of a server that had not
    been stopped in order. The caller clears it after an audit. Until then no stop counts as clean.
    ``clients`` are the order clients for which the next start makes users, beside the usual ones.
    ``listening`` is where the next start listens on TCP, None for nowhere.
    """

    def __init__(
        self,
        data_dir: DataDir,
        binary: Path | None = None,
        say: Callable[[str], None] = lambda text: None,
        stop: Stop | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.binary = binary or default_binary()
        self.name, self.version = identify(self.binary)
        self.process: subprocess.Popen[bytes] | None = None
        if data_dir.logs.is_dir():
            # Before anyone connects: a client reads its secret when it is made.
            make_secrets(data_dir.secrets, server_users())
        self.unclean = False
        self.clients: tuple[str, ...] = ()
        self.listening: Listening | NodeListening | None = None
        self._say = say
        self._stop = stop or Stop()
        self._socket = data_dir.socket
        self._clean = data_dir.path / "stopped-cleanly"
        self._made_by = data_dir.path / "made-by"

    @property
    def url(self) -> str:
        """The URL at which the server answers."""
        return self.data_dir.url

    @property
    def log(self) -> Path:
        """The server's own log."""
        return self.data_dir.logs / "server.log"

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start the server and return once it has loaded all data.

        SystemRefused when it fails, Interrupted when a signal has come; then nothing runs.
        """
        try:
            for pause_s in self.start_steps():
                self._stop.check()
                time.sleep(pause_s)
        except BaseException:
            self._end()
            raise

    def start_steps(self) -> Iterator[float]:
        """Start the server in steps, none of which waits for long.

        Yields the seconds to pause before the next step, and ends when the server has loaded all
        data. SystemRefused when that fails.
        """
        self._check_written_by()
        yield from self._stop_orphan()
        self.unclean = any(self.data_dir.path.glob("appendonlydir/*")) and not self._clean.exists()
        if self.unclean and self.name == "redis":
            yield from self._repair()
        self._spawn(self.data_dir.socket)
        try:
            yield from self._await_ready(self.url)
        except SystemRefused:
            self._end()
            raise

    def kill(self) -> None:
        """Kill the server as a crash would; nothing when it does not run."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self, grace_s: float = 10.0) -> None:
        """Stop the server in order; kill it if it has not ended within ``grace_s``."""
        if self._end(grace_s) and not self.unclean:
            with contextlib.suppress(FileNotFoundError):  # the directory was removed
                self._clean.touch()

    def _end(self, grace_s: float = 10.0) -> bool:
        """End the process; whether it ended by itself with exit status 0."""
        if self.process is None:
            return False
        if self.running:
            self.process.terminate()
            try:
                self.process.wait(grace_s)
            except subprocess.TimeoutExpired:
                self._say(f"server did not stop within {grace_s:.0f} s: killed")
                self.process.kill()
                self.process.wait()
        orderly = self.process.returncode == 0
        self.process = None
        # A server that is ended while it loads leaves them.
        for left in (self._socket, self.data_dir.path / "server.pid"):
            left.unlink(missing_ok=True)
        return orderly

    def _unmark_clean(self) -> None:
        self._clean.unlink(missing_ok=True)
        # Must be on disk before the first write, which a power cut could tear.
        sync_directory(self.data_dir.path)

    def _check_written_by(self) -> None:
        holds = "the name and version of the server that wrote the data, such as valkey 9.1.2"
        written_by = read_state(self._made_by, r"(valkey|redis) [0-9.]+\n", holds)
        if written_by is not None and written_by.startswith("valkey ") and self.name == "redis":
            raise SystemRefused(
                f"{self.data_dir}: its data was written by Valkey, which"
                f" Redis {self.version} cannot load. Use a Valkey server (leave --server out)"
                " or another --data-dir."
            )
        now = f"{self.name} {self.version}\n"
        if written_by != now:
            write_state(self._made_by, now)

    def _stop_orphan(self) -> Iterator[float]:
        """Shut down the server that an earlier, killed owner has left; the caller has the lock."""
        if not self.data_dir.socket.exists():
            return
        deadline = time.monotonic() + ORPHAN_S
        while time.monotonic() < deadline:
            client = open_client(self.url, PROBE_S)
            try:
                with contextlib.suppress(BusyLoadingError):
                    check_serves(client)
                client.shutdown(nosave=True)
            except (RedisError, OSError) as error:
                found = trouble_of(error)
                if not found.answering:
                    self.data_dir.socket.unlink(missing_ok=True)
                    return
                if found.kind != "not_now":
                    raise SystemRefused(
                        f"{self.data_dir}: a server that this program did not start serves there"
                        f" and does not stop ({found.words}). Stop it, or use another --data-dir."
                    ) from error
            finally:
                client.close()
            yield 0.05
        raise SystemRefused(
            f"{self.data_dir}: a server still serves there after being asked to"
            f" stop for {ORPHAN_S:.0f} s. Stop it, or use another --data-dir."
        )

    def _repair(self) -> Iterator[float]:
        """Let the server load the log and rewrite it, before any client writes.

        When the log ends inside a transaction, Redis 7.0 loads it but leaves the torn end in the
        file. At its next restart it loses all writes that came after the torn end. A rewritten log
        has no torn end. The server refuses a log that is damaged in its middle.
        """
        self._say("the server was not stopped in order: its log is checked and rewritten")
        socket = self.data_dir.socket.with_name("load.sock")
        self._spawn(socket)
        url = socket_url(socket)
        yield from self._await_ready(url)
        client = open_client(url)
        try:
            client.bgrewriteaof()
            state = client.info("persistence")
            while state["aof_rewrite_in_progress"] or state["aof_rewrite_scheduled"]:
                yield 0.02
                state = client.info("persistence")
            if state["aof_last_bgrewrite_status"] != "ok":
                raise SystemRefused(
                    f"{self.data_dir}: its log could not be rewritten. Is the"
                    f" disk full? See {shown_path(self.data_dir.logs / 'server.log')}"
                )
        except RedisError as error:
            raise SystemRefused(
                f"{self.data_dir}: its log could not be rewritten: {trouble_of(error).words}. Is"
                f" the disk full? See {shown_path(self.data_dir.logs / 'server.log')}"
            ) from error
        finally:
            client.close()
            # Not marked as a clean stop: the rewrite may have failed.
            self._end()

    def _spawn(self, socket: Path) -> None:
        self._socket = socket
        # From here on the server may be killed at any moment; only an orderly stop sets the mark.
        self._unmark_clean()
        # While it repairs its log nobody else may connect.
        listening = self.listening if socket == self.data_dir.socket else None
        conf = write_server_conf(self.data_dir, socket, self.clients, listening)
        self.process = subprocess.Popen(
            [self.binary, conf],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Its log has the time of day without a zone: then in UTC, as all others.
            env=allocator() | os.environ | {"TZ": "UTC"},
            start_new_session=True,
            preexec_fn=ending_with(os.getpid()),  # noqa: PLW1509  # `mm up` has one thread only
        )

    def _await_ready(self, url: str) -> Iterator[float]:
        """Wait until the server has loaded its data; SystemRefused when its process ends first."""
        assert self.process is not None
        started_at = answered_at = time.monotonic()
        announced = False
        while True:
            if self.process.poll() is not None:
                raise SystemRefused(self._why_it_ended())
            client = open_client(url, PROBE_S)
            try:
                state = client.info("persistence")
                if not state["loading"] and state["aof_enabled"]:
                    return
                answered_at = time.monotonic()
            except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
                if time.monotonic() - answered_at > SILENT_S:
                    raise SystemRefused(self._why_it_is_silent()) from None
            finally:
                client.close()
            if not announced and time.monotonic() - started_at > 2.0:
                loads = "is loading its data" if answered_at > started_at else "does not answer yet"
                self._say(f"the server {loads}")
                announced = True
            yield 0.005

    def _why_it_is_silent(self) -> str:
        return (
            f"the server {shown_path(self.binary)} runs in {self.data_dir} but has not answered on"
            f" {shown_path(self._socket)} for {SILENT_S:.0f} s. See"
            f" {shown_path(self.data_dir.logs / 'server.log')}"
        )

    def last_words(self) -> str:
        """The error with which the log of the server ends, or empty text."""
        return " ".join(self._errors_logged(last_lines=2)[-1:])[-MAX_LAST_WORDS:]

    def _errors_logged(self, last_lines: int) -> list[str]:
        with contextlib.suppress(OSError):
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
            return [one for one in lines[-last_lines:] if re.search(r" # |rror|atal|annot", one)]
        return []

    def _why_it_ended(self) -> str:
        last = " | ".join(self._errors_logged(last_lines=30)[-3:]) or "it logged nothing"
        if self.listening is not None and self.listening.certificates and "TLS" in last:
            return (
                f"the server {shown_path(self.binary)} cannot listen with TLS: {last}. It may have"
                " been built without TLS: name another with --server. Or a certificate may be"
                " wrong. Nothing was changed."
            )
        return (
            f"the server {shown_path(self.binary)} ended while starting in {self.data_dir}: {last}."
            f" See {shown_path(self.log)}. If its log is damaged, restore the directory from a"
            " backup; nothing was changed."
        )
