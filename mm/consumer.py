"""What exchange and state service share: a script that runs over the next records of a stream."""

from __future__ import annotations

from typing import Any, ClassVar

from mm.process import Process
from mm.store import Scripts, WaitingCalls, execute, text

#: The longest wait of a call in the server. Then the script runs once without an entry.
BLOCK_MS = 10_000
#: The most calls that wait in the server: the steps that it makes before a process must read the
#: replies.
CALLS = 64
#: Pause in which replies gather. It delays nothing, since calls wait in the server meanwhile.
GATHER_S = 0.01


class Consumer(Process):
    """A process whose step runs one script over the next records of a stream.

    Calls of the script wait in the server (:class:`~mm.store.WaitingCalls`), so that the server
    processes what comes while this process sleeps. Where the script goes on is stored in Redis.
    """

    #: The script, the stream that it reads, and the most records of one step.
    script: ClassVar[str]
    stream: ClassVar[str]
    batch: ClassVar[int]
    _more = False
    #: Up to which entry its log has details of each record.
    _logged_to = "0-0"
    _calls: WaitingCalls | None = None

    def attach(self, scripts: Scripts) -> None:
        """Use these scripts from now on; calls that wait on an earlier connection are dropped."""
        super().attach(scripts)
        self._calls = None
        self._more = False
        if self.is_detailed:
            cursors = self.keys.named("cursors")
            self._logged_to = text(execute(scripts.client, "HGET", cursors, self.kind) or b"0-0")

    def start_calls(self) -> WaitingCalls:
        """New calls of the script, of which none waits yet."""
        streams = {self.keys.named(self.stream): "$"}
        return self.scripts.waiting_calls([self.script], streams, BLOCK_MS, self.batch)

    @property
    def waiting(self) -> int:
        """How many replies of calls in the server are still to come."""
        return 0 if self._calls is None else self._calls.pending

    def gather_s(self, done: int) -> float:
        """A pause in which replies gather, after a step that did something.

        There is none when so few calls are left that they may be used up before its end.
        """
        return GATHER_S if done and self.waiting > CALLS // 2 else 0.0

    def await_replies(self, wait_ms: int, calls: int) -> list[list[Any]]:
        """Of each answered call its scripts' replies; empty when none comes within ``wait_ms``.

        When at most half of them wait it sends calls again, so that ``calls`` wait.
        """
        if self._calls is None:
            self._calls = self.start_calls()
        if self._calls.pending <= calls // 2:
            self._calls.start(calls - self._calls.pending)
        return self._calls.replies(wait_ms / 1000)
