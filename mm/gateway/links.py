"""Connections to the system, each as the user whose rights a request needs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from redis.exceptions import RedisError

from mm.errors import MMError
from mm.facts import FoundDurability, SystemState, unreachable
from mm.host import System, check_directory
from mm.market import Config
from mm.store import VIEWER, Scripts, open_client, require_config, trouble_of

T = TypeVar("T")
#: Seconds that the server may take for one command, and that an ordinary answer may take in all.
SERVER_S, ANSWER_S = 5.0, 10.0
#: Seconds for an answer that may have to read a whole ledger.
LONG_S = 60.0
#: Requests that read at the same time; the others wait, no longer than their answers may take.
READERS = 16
#: Seconds for which the state, the configuration and the identity of the system count as known.
KNOWN_S = 1.0
#: Seconds that a look at the state may take, where something else has its answer already.
LOOK_S = 1.0


class Links:
    """The connections of one gateway. What blocks runs in threads, and never longer than said."""

    def __init__(self, system: System) -> None:
        self.system = system
        self._pool = ThreadPoolExecutor(READERS, "reader")
        self._lock = threading.Lock()
        self._scripts: dict[str, Scripts] = {}
        self._checked: dict[str, float] = {}
        self._config: tuple[float, Config] | None = None
        self._state: tuple[float, SystemState] | None = None
        self._asked: asyncio.Future[SystemState] | None = None

    def scripts(self, user: str = VIEWER) -> Scripts:
        """The scripts as this user; safe in several threads.

        ForeignSystem when a managed server does not hold the system of its data directory.
        """
        with self._lock:
            found = self._scripts.get(user)
            if found is None:
                keys = self.system.keys
                client = open_client(self.system.waiting_url, SERVER_S, user, keys.prefix)
                found = self._scripts[user] = Scripts(client, keys)
            due = time.monotonic() >= self._checked.get(user, 0.0) + KNOWN_S
        if due and self.system.redis_url is None:
            check_directory(self.system.data_dir, found)
            self._checked[user] = time.monotonic()
        return found

    async def run(self, work: Callable[[], T], at_most_s: float = ANSWER_S) -> T:
        """What the work returns, which runs in a thread; TimeoutError when it takes too long."""
        loop = asyncio.get_running_loop()
        return await asyncio.wait_for(loop.run_in_executor(self._pool, work), at_most_s)

    async def config(self, symbol: str) -> Config:
        """The configuration, read anew when it is old or lacks the symbol."""
        if self._config is not None:
            at, found = self._config
            lacks = all(one.name != symbol for one in found.symbols)
            if not lacks and time.monotonic() < at + KNOWN_S:
                return found
        found = await self.run(lambda: require_config(self.scripts()))
        self._config = time.monotonic(), found
        return found

    async def state(self) -> SystemState:
        """What stops trading, and the durability, at most ``KNOWN_S`` old; one look serves all.

        Never raises: a system that cannot be read, or not within ``LOOK_S``, is what stops trading.
        """
        if self._state is not None and time.monotonic() < self._state[0] + KNOWN_S:
            return self._state[1]
        if self._asked is None or self._asked.done():
            self._asked = asyncio.ensure_future(self._look())
        try:
            return await asyncio.wait_for(asyncio.shield(self._asked), LOOK_S)
        except TimeoutError:
            words = f"the server does not answer: no look at the system within {LOOK_S:g} s"
        except (MMError, RedisError, OSError) as error:
            words = trouble_of(error).words
        return SystemState([unreachable(words)], FoundDurability("unknown"))

    async def _look(self) -> SystemState:
        found = await self.run(lambda: SystemState.now(self.scripts()))
        self._state = time.monotonic(), found
        return found

    def close(self) -> None:
        """Drop the connections. Threads that still wait for the server end with their commands."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for one in list(self._scripts.values()):
            one.client.close()
