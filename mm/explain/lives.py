"""Which processes lived when, from the lifecycle stream, and their steps in a story."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mm.explain.step import Step, seconds
from mm.market import LIVE_MS
from mm.store import LifecycleEvent, ProcessInfo

#: The kinds of process that end expired quotes.
RELEASING = ("exchange", "state", "maker")
#: They do so within so many milliseconds (R9).
GRACE_MS = 1_000
#: A later end has a cause. A life is known but for a silence that counts as its end.
LATE_MS = GRACE_MS + LIVE_MS


@dataclass(frozen=True)
class Absence:
    """No process was there to end a quote in time, or no server.

    ``from_ms`` is when the last one was heard, None when none is known. ``of_server`` says that
    the server ended then, while processes lived.
    """

    from_ms: int | None
    of_server: bool = False


class Lives:
    """The lives of the processes that end expired quotes.

    ``events`` are the lifecycle events, oldest first, and ``processes`` what is known of each
    process now, by name. The beginning of a process that no event names was trimmed from the
    stream.
    """

    def __init__(
        self, events: Iterable[LifecycleEvent], processes: Mapping[str, ProcessInfo]
    ) -> None:
        self._spans: list[tuple[int, int]] = []
        self._server_ends: set[int] = set()
        began = {name: 0 for name, one in processes.items() if one.kind in RELEASING}
        for event in events:
            heard_ms = event.heard_ms
            if event.event == "server_started" and heard_ms is not None and began:
                self._spans += [(start_ms, heard_ms) for start_ms in began.values()]
                self._server_ends.add(heard_ms)
                began = dict.fromkeys(began, event.ts_ms)
            if event.kind not in RELEASING:
                continue
            if event.event in ("stopped", "lost"):
                ended_ms = event.ts_ms if heard_ms is None else heard_ms
                self._spans.append((began.pop(event.process, 0), ended_ms))
                continue
            if heard_ms is not None:
                self._spans.append((began.get(event.process, 0), heard_ms))
            began[event.process] = event.ts_ms
        for name, start_ms in began.items():
            last = processes.get(name)
            self._spans.append((start_ms, start_ms if last is None else last.heartbeat_ms))

    def absence(self, expires_ms: int, ended_ms: int) -> Absence | None:
        """Why a quote ended so late, if that is because nobody lived who could end it."""
        in_time_ms = expires_ms + LATE_MS
        if ended_ms <= in_time_ms:
            return None
        # The process that ended the quote may have started just before.
        if any(start < ended_ms - GRACE_MS and end > in_time_ms for start, end in self._spans):
            return None
        last_ms = max((end for _, end in self._spans if end <= in_time_ms), default=None)
        return Absence(last_ms, last_ms in self._server_ends)


def life_step(event: LifecycleEvent) -> Step:
    """The start, the end or the silence of a process, or a start of the server."""
    silence = "" if event.heard_ms is None else seconds(event.ts_ms - event.heard_ms)
    who = f"{event.process} (pid {event.pid})"
    if event.event == "server_started":
        text = "The server had been started anew"
        text += f", {silence} after any process was last heard." if silence else "."
    elif event.event == "started":
        text = f"{who} started"
        if event.before_pid is not None:
            text += f", after pid {event.before_pid} had ended without a farewell:"
            text += f" it was last heard {silence} before"
        text += "."
    elif event.event == "stopped":
        text = f"{who} stopped in order."
    elif event.event == "lost":
        text = f"{who} had not been heard for {silence}, while others were: it had died, or hung."
    else:
        text = f"{who} was heard again after {silence}."
    facts = {
        "process": event.process,
        "pid": event.pid,
        "before_pid": event.before_pid,
        "heard_ms": event.heard_ms,
    }
    return Step(event.event, event.ts_ms, text, facts)
