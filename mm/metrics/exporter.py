"""The answer to a scrape, and the reader that follows orders between the scrapes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from redis.exceptions import RedisError

from mm.errors import MMError
from mm.facts import found_durability, stoppages
from mm.metrics.counts import Counts
from mm.metrics.families import (
    Family,
    Gathered,
    Verdict,
    audit_families,
    followed_families,
    one,
    system_families,
)
from mm.metrics.follow import Follower
from mm.metrics.text import exposition
from mm.store import (
    Scripts,
    Snapshot,
    StreamReader,
    archived_fills,
    execute,
    partitions_of,
    read_placement,
    read_symbols,
    server_info,
    stream_id_order,
    take_snapshot,
    text,
    trouble_of,
)

#: An answer is good for so long: however many scrape, the system is read once in this time.
FRESH_S = 1.0
#: Seconds from one sample of the orders to the next, and from one look for what became of it.
SAMPLE_S, LOOK_S = 1.0, 0.1
#: The most symbols that are read in one step, those first that do not trade freely.
MAX_SNAPSHOT = 50
#: The most waiting entries of a stream that an answer counts.
MAX_WAITING = 1_000


class Exporter:
    """Makes the answers to scrapes of one system, in the text format of Prometheus.

    ``scripts`` gives those of the whole system, as a viewer at least; it may raise what a client
    does. All methods may be called from any thread.
    """

    def __init__(self, scripts: Callable[[], Scripts]) -> None:
        self._scripts = scripts
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._counts = Counts()
        self._followers: dict[str, Follower] = {}
        self._trouble = ""
        self._verdict: Verdict | None = None
        self._lock = threading.Lock()
        self._answer = b""
        self._answered_s = 0.0

    def begin(self) -> None:
        """Follow orders from now on, in a thread; nothing while that one lives."""
        with self._lock:
            if not self._is_alive():
                self._thread = threading.Thread(target=self._follow, name="follow", daemon=True)
                self._thread.start()

    def _is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def close(self) -> None:
        """Follow orders no longer. The thread ends with what it waits for."""
        self._stop.set()

    def audited(self, facts: Mapping[str, Any]) -> None:
        """Serve this verdict of an audit from now on: the facts of `mm audit --json`."""
        violations = sum(check["violation_count"] for check in facts["checks"])
        self._verdict = Verdict(violations, facts["now_ms"])

    def text(self) -> bytes:
        """The answer to a scrape; of a system that cannot be read it says so and no more of it."""
        with self._lock:
            if not self._answer or time.monotonic() - self._answered_s >= FRESH_S:
                families = list(self._families())
                self._answer = exposition(families)
                self._answered_s = time.monotonic()
            return self._answer

    def _families(self) -> Iterator[Family]:
        try:
            gathered = gather(self._scripts())
        except (MMError, RedisError, OSError):
            yield one("mm_system_up", 0)
        else:
            yield one("mm_system_up", 1)
            yield from system_families(gathered)
        yield one("mm_reader_up", self._is_alive() and not self._trouble)
        yield from followed_families(self._counts)
        if self._verdict is not None:
            yield from audit_families(self._verdict)

    def _follow(self) -> None:
        """Follow orders until the end. Whatever goes wrong is said, and tried again for ever."""
        while not self._stop.is_set():
            try:
                self._follow_for_a_while()
                self._trouble = ""
            except (MMError, RedisError, OSError) as error:
                # Each follower knows how far it has read, and goes on from there.
                self._failed(trouble_of(error).words)
            except Exception as error:  # noqa: BLE001  # no record of a stream may end the thread
                self._failed(f"{type(error).__name__}: {error}", error)
                for follower in self._followers.values():
                    follower.begin_anew()

    def _follow_for_a_while(self) -> None:
        """Take a sample, and look what becomes of it until the next one is due."""
        began = time.monotonic()
        self.sample()
        while (left_s := SAMPLE_S + began - time.monotonic()) > 0 and not self._stop.is_set():
            if any(one.is_following for one in self._followers.values()):
                self.look()
                left_s = min(left_s, LOOK_S)
            self._stop.wait(left_s)

    def _failed(self, words: str, error: Exception | None = None) -> None:
        """Say what went wrong, when it is new, and wait for a while."""
        if words != self._trouble:
            log = logging.getLogger("mm.metrics")
            log.warning("orders are not followed: %s", words, exc_info=error)
        self._trouble = words
        self._stop.wait(SAMPLE_S)

    def sample(self) -> None:
        """Take one sample in each partition. Errors are those of the client.

        What the partitions have in common is read as well: the balancer and `mm up` belong to it.
        """
        root = self._scripts()
        found = {scripts.keys.prefix: scripts for scripts in (root, *partitions_of(root))}
        for prefix in self._followers.keys() - found.keys():
            self._followers.pop(prefix).begin_anew()
        for prefix, scripts in found.items():
            if prefix not in self._followers:
                self._followers[prefix] = Follower(scripts, self._counts)
            self._followers[prefix].sample()

    def look(self) -> None:
        """Look what became of the samples. Errors are those of the client."""
        for follower in self._followers.values():
            follower.look()


def gather(scripts: Scripts) -> Gathered:
    """Read everything that one answer needs; errors of the client, and SystemRefused."""
    began = time.monotonic()
    snapshot = _snapshot(scripts)
    server = server_info(scripts.client)
    placement = read_placement(scripts, snapshot.config.partitions)
    stopped = stoppages(snapshot, server, placement=placement)
    weak = None if server.hidden else server.weak
    durable = found_durability(snapshot.config.durability, weak).sound
    waiting = _waiting(scripts, snapshot)
    archived = _archived(scripts, snapshot)
    took_s = time.monotonic() - began
    return Gathered(snapshot, stopped, durable, placement, waiting, archived, took_s)


def _snapshot(scripts: Scripts) -> Snapshot:
    """A snapshot in which each symbol is, read so that no step holds up trading."""
    bounded = take_snapshot(scripts, max_symbols=MAX_SNAPSHOT)
    if not bounded.parts:
        return _completed(scripts, bounded)
    parts = [
        _completed(scripts.over(scripts.keys.partition(number)), part)
        for number, part in enumerate(bounded.parts)
    ]
    found = {name: state for part in parts for name, state in part.symbols.items()}
    return replace(bounded, symbols=found, parts=tuple(parts))


def _completed(scripts: Scripts, part: Snapshot) -> Snapshot:
    """The snapshot with the symbols that it does not include."""
    left_out = [name for name in part.symbol_names if name not in part.symbols]
    return replace(part, symbols=part.symbols | read_symbols(scripts, left_out, part.now_ms))


def _waiting(scripts: Scripts, snapshot: Snapshot) -> Sequence[int]:
    """How many orders wait for the exchange of each partition; of its stream a bounded count."""
    found = []
    for its, part in _parts(scripts, snapshot):
        count, last_id = 0, part.streams["orders"].last_id
        # The lag is 0 ms for what came in the same millisecond.
        if stream_id_order(last_id) > stream_id_order(part.cursors.exchange_id):
            bounds = (its.keys.named("orders"), f"({part.cursors.exchange_id}", "+")
            entries = execute(its.client, "XRANGE", *bounds, "COUNT", MAX_WAITING)
            count = sum(len(fields) for _, fields in entries)
        found.append(count + part.inbox_entries)
    return found


def _archived(scripts: Scripts, snapshot: Snapshot) -> Sequence[int]:
    """How many fills the archive of each partition has, as its keys say."""
    found = []
    for its, _ in _parts(scripts, snapshot):
        heads = StreamReader(its).fields(its.keys.named("archived"))
        # Of what is no head `mm audit` says so.
        found.append(archived_fills({text(name): text(head) for name, head in heads}))
    return found


def _parts(scripts: Scripts, snapshot: Snapshot) -> Iterator[tuple[Scripts, Snapshot]]:
    """Each partition with its scripts; a system without partitions with its own."""
    if not snapshot.parts:
        yield scripts, snapshot
    for number, part in enumerate(snapshot.parts):
        yield scripts.over(scripts.keys.partition(number)), part
