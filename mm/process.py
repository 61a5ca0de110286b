"""The loop that all processes share: connect, check, step, retry, heartbeat, stop.

All state that counts is in the keys. A process that is killed at any instant and started again
continues from them. Its ``step()`` does one round of work and can be called by hand.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar

import redis
from redis.exceptions import RedisError

from mm.backoff import Backoff
from mm.errors import DurabilityRefused, SystemRefused, Unavailable
from mm.log_event import LogEvent, log_details
from mm.market import Config, Durability, check_id
from mm.store import (
    Expired,
    Keys,
    Matched,
    Presence,
    Scripts,
    check_durability,
    durability_in,
    read_config,
    server_info,
    split_system,
    trouble_of,
)

#: Environment of a process: how often it was restarted. Only a supervisor sets it.
RESTARTS = "MM_RESTARTS"
BEAT_S = 0.5
#: Longest wait inside one step, so that heartbeats and a stop are never late.
WAIT_MS = 250
#: Shorter pauses are not made: the operating system's timer would make them several times longer.
LEAST_REST_S = 0.0005
#: The longest delay is short: expired exposure must be released within 1 s of the server's
#: return, and after a failover every delay is time without a fill.
FIRST_RETRY_S, LONGEST_RETRY_S = 0.05, 0.2
#: Heartbeats from one check of the server's durability settings to the next.
DURABILITY_CHECK_BEATS = 4
#: Heartbeats from one summary in the log to the next. Single steps are logged only as details.
SUMMARY_BEATS = 20


def counts_text(counts: Mapping[str, int]) -> str:
    """Counts in one line, as in ``fills=3 orders=4``."""
    return " ".join(f"{name}={count}" for name, count in sorted(counts.items()))


def seconds_to_expiry(done: Matched | Expired) -> float | None:
    """The seconds from a script's run to the next deadline, None when no quote is active."""
    return (done.next_expiry_ms - done.now_ms) / 1000 if done.next_expiry_ms else None


class Process(ABC):
    """One process of the system; a subclass defines :meth:`step`.

    ``connect`` returns a new client at each call. ``config`` is the configuration that the system
    must have when the process joins it; None accepts what the keys hold. ``system_id`` is the
    system that it belongs to; with None it belongs to the first one that it joins. It never makes a
    system (R21).
    ``count`` is the number of things done, in the unit of the subclass. ``done`` counts by name
    what was done since its start: each heartbeat says it, and the log what is new. ``peers`` are
    the live processes of the same kind, by name. ``say`` gets a line for people when the process
    begins to wait for the server, and when it goes on.
    """

    kind: ClassVar[str]
    #: Whether it serves the partitions of a system together. Others serve one.
    serves_all: ClassVar[bool] = False

    def __init__(
        self,
        connect: Callable[[], redis.Redis],
        keys: Keys,
        ident: str = "1",
        config: Config | None = None,
        durability: Durability | None = None,
        system_id: str | None = None,
    ) -> None:
        self.name = check_id("process name", f"{self.kind}-{ident}")
        self.keys = keys
        self.count = 0
        self.done: Counter[str] = Counter()
        self._summed: Counter[str] = Counter()
        self.peers: list[str] = [self.name]
        self.log = logging.getLogger(f"mm.{self.name}")
        self.say: Callable[[str], None] = lambda text: None
        self._connect = connect
        self._config = config
        self._durability = durability
        self._presence = Presence(self.name, self.kind, system_id)
        self._scripts: Scripts | None = None
        self._joined = False
        self._waiting_for = ""
        self._beats = 0
        self._next_beat = 0.0

    @property
    def scripts(self) -> Scripts:
        """The scripts of the open connection; Unavailable before :meth:`open`."""
        if self._scripts is None:
            raise Unavailable(f"{self.name} is not connected")
        return self._scripts

    def attach(self, scripts: Scripts) -> None:
        """Use these scripts from now on; the caller has checked the system."""
        self._scripts = scripts

    def open(self) -> None:
        """Connect, join the system, and send the first heartbeat.

        Raises Unavailable while there is no system, and ForeignSystem when it is another one than
        that which this process belongs to. SystemRefused when the system has partitions and these
        are the keys of none.
        """
        scripts = Scripts(self._connect(), self.keys)
        # Once it has joined, the system's configuration may change.
        config = None if self._joined else self._config
        joined = self._presence.join(scripts, config, self._durability)
        if joined.is_split and not self.serves_all:
            raise split_system(self.keys, "a process of this kind serves one")
        self.attach(scripts)
        server = joined.server
        facts = (joined.identity.system_id, server.name, server.version, server.weak)
        self.log.info("connected system=%s server=%s version=%s weak=%s", *facts)
        self.beat()

    def stored_config(self) -> Config:
        """The configuration that the keys hold.

        Unavailable when they hold no system any more: the next :meth:`open` says what they hold.
        """
        config = read_config(self.scripts)
        if config is None:
            raise Unavailable(f"no system under {self.keys.prefix}")
        return config

    def close(self) -> None:
        """Drop the connection; :meth:`open` makes a new one."""
        if self._scripts is not None:
            self._scripts.client.close()
            self._scripts.client.connection_pool.disconnect()
        self._scripts = None

    @abstractmethod
    def step(self, wait_ms: int = 0) -> bool:
        """Do one round of work, after waiting up to ``wait_ms`` for it; whether more is ready."""

    def rest_s(self, done: int, more: bool) -> float:
        """Seconds to pause after a step that did ``done`` things; ``more`` is what it returned."""
        return 0.0

    def beat(self) -> None:
        """Send one heartbeat, and release what has expired in case no exchange is alive."""
        if self._beats % DURABILITY_CHECK_BEATS == 0 and self._durability != "relaxed":
            self._check_durability()
        self._beats += 1
        self.announce()
        self.release_expired()
        if self._beats % SUMMARY_BEATS == 0:
            self.log_summary()
        self._next_beat = time.monotonic() + BEAT_S

    def announce(self) -> None:
        """Tell the system that this process is live, and learn which others of its kind are.

        ForeignSystem when the keys hold another system.
        """
        peers = self._presence.beat(self.scripts, self.count, self.beat_fields())
        if peers != self.peers:
            self.log.info("live %s", " ".join(peers))
        self.peers = peers

    def beat_fields(self) -> dict[str, str]:
        """What it says of itself with each heartbeat, beside its count."""
        return {"restarts": os.environ.get(RESTARTS, "0"), "done": counts_text(self.done) or "-"}

    @property
    def is_detailed(self) -> bool:
        """Whether its log has details: each step, order and proposal."""
        return self.log.isEnabledFor(logging.DEBUG)

    def detail(self, event: str, **facts: object) -> None:
        """Log an event as a detail, with its facts by name."""
        self.log.debug(LogEvent(event, facts))

    def detail_each(self, event: str, every: Iterable[Mapping[str, object]]) -> None:
        """Log the event of each of these facts as a detail; they are not read without details.

        A log does no harm: what cannot be read is not in it, and the process goes on.
        """
        try:
            log_details(self.log, event, every)
        except RedisError as error:
            self.detail("unread", of=event, why=trouble_of(error).words)

    def log_summary(self) -> None:
        """Log what was done since the last summary, if anything was."""
        if new := self.done - self._summed:
            self.log.info(LogEvent("done", dict(sorted(new.items()))))
            self._summed = self.done.copy()

    def release_expired(self) -> float | None:
        """Release and announce what is past its deadline, and log it.

        Returns the seconds to the next deadline, None when no quote is active.
        """
        while True:
            done = self.scripts.expire()
            for quote_id in done.quote_ids:
                self.done["expired"] += 1
                self.detail("expired", quote=quote_id)
            if not done.more:
                return seconds_to_expiry(done)

    def _check_durability(self) -> None:
        # An operator can change the settings of a running server.
        stored = self._durability or durability_in(self.scripts)
        if stored == "relaxed":
            return
        check_durability(server_info(self.scripts.client), stored)

    def run(self, stop: threading.Event) -> None:
        """Step until ``stop`` is set. Raises SystemRefused; what may end by itself is retried.

        A server whose durability settings become too weak while this process runs is waited for.
        """
        self.log.info("started pid=%d", os.getpid())
        backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S)
        while not stop.is_set():
            action = "connect"
            try:
                if self._scripts is None:
                    self.open()
                    self._joined = True
                    if backoff.attempts:
                        self.log.info("recovered after %d retries", backoff.attempts)
                action = "step"
                before = self.count
                more = self.step(WAIT_MS)
                if time.monotonic() >= self._next_beat:
                    self.beat()
                pause = self.rest_s(self.count - before, more)
                if pause >= LEAST_REST_S:
                    time.sleep(pause)
                backoff.succeeded()
                self._say_trouble("")
            except (RedisError, Unavailable, OSError, DurabilityRefused) as error:
                stop.wait(self._retry_delay_s(error, action, backoff))
        self._say_farewell()

    def _retry_delay_s(self, error: Exception, action: str, backoff: Backoff) -> float:
        """Drop the connection; how long to wait. SystemRefused when trying again is of no use."""
        found = trouble_of(error)
        if isinstance(error, DurabilityRefused) and not self._joined:
            raise error
        if found.final:
            raise SystemRefused(found.words) from error
        delay_s = backoff.failed()
        self.log.warning(
            "retry action=%s attempt=%d in=%.2fs, for ever: %s",
            action,
            backoff.attempts,
            delay_s,
            found.words,
        )
        self._say_trouble(found.words)
        self.close()
        return delay_s

    def _say_trouble(self, words: str) -> None:
        """Say once what is waited for, and once that it is over; empty text for no trouble."""
        if words and words != self._waiting_for:
            self.say(f"waiting, for ever: {words}")
        elif self._waiting_for and not words:
            self.say("going on")
        self._waiting_for = words

    def _say_farewell(self) -> None:
        try:
            if self._scripts is not None:
                self._presence.farewell(self._scripts)
        except (RedisError, OSError) as error:
            self.log.warning("stopped without a farewell: %s", trouble_of(error).words)
        self.close()
        self.log_summary()
        self.log.info("stopped count=%d", self.count)
