"""What all processes share: connect, check, step, retry, heartbeat, stop.

A process keeps no state that matters: killed at any instant and started afresh it goes on where
the keys say. Its ``step()`` does one round of its work and can be called by hand.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import FrameType
from typing import Any, ClassVar

import redis
from redis.exceptions import RedisError

from mm.errors import Unavailable
from mm.market import LIVE_MS, Config, Durability, check_id, default_config
from mm.store import Keys, Scripts, WaitingCalls, check_durability, read_config, server_info

BEAT_S = 0.5


#: Longest wait inside one step, so that heartbeats and a stop are never late.
WAIT_MS = 250


#: Shorter pauses are not made: the system's timer would make them several times longer.
LEAST_REST_S = 0.0005


FIRST_RETRY_S = 0.05


#: Short, since what has expired must be released within 1 s once the server is back.
LAST_RETRY_S = 0.5


DURABILITY_CHECK_BEATS = 4


class Process(ABC):
    """One process of the system: subclasses say what a step is.

    ``connect`` opens a new client each time it is called. ``config`` is the configuration that
    the system must have, or None to take the one that the keys hold (the default when they hold
    none). Errors that mean "not now" are retried for ever, with backoff; SystemRefused is raised.
    """

    kind: ClassVar[str]
    #: Whether it may create the keys of a new system.
    creates: ClassVar[bool] = True

    def __init__(
        self,
        connect: Callable[[], redis.Redis],
        keys: Keys,
        ident: str = "1",
        config: Config | None = None,
        durability: Durability | None = None,
    ) -> None:
        self.name = check_id("process name", f"{self.kind}-{ident}")
        self.keys = keys
        self.count = 0
        self.peers: list[str] = [self.name]
        self.log = logging.getLogger(f"mm.{self.name}")
        self._connect = connect
        self._config = config
        self._durability = durability
        self._scripts: Scripts | None = None
        self._beats = 0
        self._next_beat = 0.0

    @property
    def scripts(self) -> Scripts:
        """The scripts of the open connection; Unavailable before :meth:`open`."""
        if self._scripts is None:
            raise Unavailable(f"{self.name} is not connected")
        return self._scripts

    def attach(self, scripts: Scripts) -> None:
        """Take up a connection that has been checked."""
        self._scripts = scripts

    def open(self) -> None:
        """Connect, check durability and configuration, and say that this process lives."""
        client = self._connect()
        info = server_info(client)
        scripts = Scripts(client, self.keys)
        stored = read_config(scripts)
        if stored is None and not self.creates:
            raise Unavailable(f"no system under {self.keys.prefix} yet; an exchange makes one")
        config = self._config or stored or default_config()
        check_durability(info, self._durability or config.durability)
        scripts.setup(config)
        self.attach(scripts)
        self.log.info("connected server=%s version=%s weak=%s", info.name, info.version, info.weak)
        self.beat()

    def close(self) -> None:
        """Drop the connection; :meth:`open` makes a new one."""
        if self._scripts is not None:
            self._scripts.client.close()
            self._scripts.client.connection_pool.disconnect()
        self._scripts = None

    @abstractmethod
    def step(self, wait_ms: int = 0) -> bool:
        """Do one round of work, waiting up to ``wait_ms`` for some; whether more is at hand."""

    def rest_s(self, done: int, more: bool) -> float:
        """Seconds to pause after a step that did ``done`` things, with ``more`` at hand or not."""
        return 0.0

    def beat(self) -> None:
        """One heartbeat; also releases what has expired, whoever else is dead."""
        if self._beats % DURABILITY_CHECK_BEATS == 0 and self._durability != "relaxed":
            self._check_durability()
        self._beats += 1
        fields = {"pid": str(os.getpid()), "restarts": os.environ.get("MM_RESTARTS", "0")}
        _, peers = self.scripts.heartbeat(self.name, self.kind, LIVE_MS, self.count, fields)
        if peers != self.peers:
            self.log.info("live %s", " ".join(peers))
        self.peers = peers
        self.release_expired()
        self._next_beat = time.monotonic() + BEAT_S

    def release_expired(self) -> None:
        """Release and announce what is past its deadline, and log it."""
        more = True
        while more:
            done = self.scripts.expire()
            more = done.more
            for quote_id in done.quote_ids:
                self.log.info("expired quote=%s", quote_id)

    def _check_durability(self) -> None:
        # Settings can be switched at run time; a system that trades on would break its promise.
        stored = self.scripts.client.hget(self.keys.named("config"), "durability")
        if self._durability is None and stored == b"relaxed":
            return
        check_durability(server_info(self.scripts.client), "always")

    def run(self, stop: threading.Event) -> None:
        """Step until ``stop`` is set. Raises SystemRefused; anything that may pass is retried."""
        self.log.info("started pid=%d", os.getpid())
        delay, attempts = FIRST_RETRY_S, 0
        while not stop.is_set():
            try:
                if self._scripts is None:
                    self.open()
                    if attempts:
                        self.log.info("recovered after %d retries", attempts)
                before = self.count
                more = self.step(WAIT_MS)
                if time.monotonic() >= self._next_beat:
                    self.beat()
                pause = self.rest_s(self.count - before, more)
                if pause >= LEAST_REST_S:
                    time.sleep(pause)
                delay, attempts = FIRST_RETRY_S, 0
            except (RedisError, Unavailable, OSError) as error:
                attempts += 1
                self.log.warning(
                    "retry attempt=%d in=%.2fs, for ever: %s: %s",
                    attempts,
                    delay,
                    type(error).__name__,
                    error,
                )
                self.close()
                stop.wait(delay)
                delay = min(2 * delay, LAST_RETRY_S)
        self._leave()

    def _leave(self) -> None:
        try:
            if self._scripts is not None:
                self._scripts.farewell(self.name)
        except (RedisError, OSError) as error:
            self.log.warning("stopped without a farewell: %s", error)
        self.close()
        self.log.info("stopped count=%d", self.count)


class Consumer(Process):
    """A process whose step is one script over the next records of a stream.

    It waits by having the script wait in the server (:class:`~mm.wire.Armed`). It keeps no state:
    its cursor only says from where to wait, the one that counts is in the keys.
    """

    #: The script, the stream that it reads, and records a step at most.
    script: ClassVar[str]
    stream: ClassVar[str]
    batch: ClassVar[int]
    _cursor = "0-0"
    _more = False
    _armed: WaitingCalls | None = None

    def attach(self, scripts: Scripts) -> None:
        """Take up a connection: whatever waits on an earlier one is not heard of again."""
        super().attach(scripts)
        self._armed = None
        self._more = False

    @property
    def waiting(self) -> bool:
        """Whether a call of the script waits in the server."""
        return self._armed is not None and self._armed.pending > 0

    def await_replies(self, wait_ms: int, second: bool = False) -> list[Any]:
        """The replies of the script as the stream gets entries; empty after ``wait_ms``.

        ``second``: another call waits behind the first, so that an entry that comes while this
        process still reads the first one's reply need not wait for it.
        """
        if self._armed is None:
            block_ms = max(wait_ms, WAIT_MS)
            self._armed = self.scripts.armed(self.script, self.stream, block_ms, self.batch)
        if not self._armed.pending:
            self._armed.arm(self._cursor)
        if second and self._armed.pending == 1:
            self._armed.arm_second()
        return self._armed.take(wait_ms / 1000 if wait_ms < WAIT_MS else None)


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return stop
