"""The log of a busy run, with the keys after each of its steps."""

from __future__ import annotations

import bisect
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.kit.backends import short_directory
from tests.kit.checks import Dump
from tests.kit.crash import killable_server, live_keys
from tests.kit.trader import Trader


@dataclass
class Recording:
    """The log of a busy run: its directory, and what the keys held after each single step.

    ``ends`` are the log's sizes after the steps, ``states`` the keys at each, ``start`` the size
    when the keys had been created.
    """

    path: Path
    start: int
    ends: list[int]
    states: list[Dump]

    @property
    def size(self) -> int:
        """Bytes of the log."""
        return self.ends[-1]

    def states_at(self, cut: int) -> list[Dump]:
        """What the first ``cut`` bytes may hold: all that was acknowledged, or one step more.

        A step ends before its recorded end when the server's own reaping follows it.
        """
        first = bisect.bisect_right(self.ends, cut) - 1
        return self.states[first : first + 2]

    def last_steps(self, steps: int) -> list[int]:
        """Every byte offset within the last steps that wrote something, the end included."""
        sizes = sorted(set(self.ends))
        return list(range(sizes[-1 - steps], sizes[-1] + 1))


@contextmanager
def record(binary: Path, seed: int, steps: int = 250) -> Iterator[Recording]:
    """Trade ``steps`` single steps and keep the log, and the keys after every one of them."""
    with short_directory() as directory:
        with killable_server(binary) as server:
            server.start()
            trader = Trader(server.world(setup=True), seed)
            log = server.log
            found = Recording(directory / "appendonlydir", log.stat().st_size, [], [])
            for number in range(steps + 1):
                if number:
                    trader.step()
                found.ends.append(log.stat().st_size)
                found.states.append(live_keys(trader.world))
            server.kill()
            shutil.copytree(log.parent, found.path)
        yield found
