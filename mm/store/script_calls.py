"""Calls the Lua scripts: each gets exactly the keys that its ``-- KEYS`` header line names."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import redis
from redis.exceptions import NoScriptError

from mm.errors import Unavailable
from mm.store.calls import WaitingCalls, execute, send_pipeline
from mm.store.cluster import over_tag
from mm.store.keys import Keys
from mm.store.lua import assembled, key_names, read_names, runner

#: Milliseconds that replicas may take.
REPLICATED_MS = 150


#: The command whose reply names the server's history.
LOOK = ("INFO", "replication")


def history_in(info: bytes) -> str:
    """The name of the server's history in the reply to ``LOOK``; another one may be a cut one."""
    found = re.search(rb"master_replid:([0-9a-f]+)", info)
    return found[1].decode() if found else ""


class ScriptCalls:
    """The scripts, bound to one client and one set of keys.

    ``client`` must not decode replies and must not retry by itself. A script whose reply is lost
    may have run, and only the caller can tell whether it may run again. ``shebang=False`` sends the
    scripts without their ``#!lua`` line, for servers that do not know it. ``archives`` is the
    directory of the archives, None for where the keys say that they are; ``archives_shown`` is the
    one that messages name, when that is a private copy.
    """

    archives: Path | None = None
    archives_shown: Path | None = None

    def __init__(self, client: redis.Redis, keys: Keys, shebang: bool = True) -> None:
        self.client = client
        self.keys = keys
        self._shebang = shebang
        self._sha: dict[str, str] = {}

    def over(self, keys: Keys) -> Self:
        """The same scripts over other keys, on the node that has them."""
        other = type(self)(over_tag(self.client, keys.prefix), keys, self._shebang)
        other.archives, other.archives_shown = self.archives, self.archives_shown
        return other

    def source(self, name: str) -> str:
        """The text sent to the server for this script."""
        source = assembled(name)
        return source if self._shebang else source.partition("\n")[2]

    def _words(self, name: str, args: Iterable[str | int]) -> list[str | int]:
        if name not in self._sha:
            digest = hashlib.sha1(self.source(name).encode(), usedforsecurity=False)
            self._sha[name] = digest.hexdigest()
        names = [self.keys.named(key) for key in key_names(name)]
        reads = [self.keys.named(key) for key in read_names(name)]
        return [self._sha[name], len(names), *names, *reads, *args]

    def _command(self, name: str, args: Iterable[str | int]) -> tuple[str | int, ...]:
        """The command that runs the script. A server without ``#!lua`` lines gets EVALSHA."""
        return (runner(name) if self._shebang else "EVALSHA", *self._words(name, args))

    def call(self, name: str, *args: str | int) -> Any:
        """Run a script once; when the server does not know the script, load it first.

        Raises the errors of redis-py. After a ConnectionError the script may have run.
        """
        command = self._command(name, args)
        try:
            return execute(self.client, *command)
        except NoScriptError:
            self.client.script_load(self.source(name))
            return execute(self.client, *command)

    def call_replicated(self, replicas: int, name: str, *args: str | int) -> Any:
        """Run a script that always writes; its reply, once so many replicas have what it did.

        A server counts the replicas by the length of their history (WAIT), which does not tell one
        history from another: so the history must be the same before and after. Unavailable when
        too few replicas say so in time. The script may have run all the same.
        """
        if not replicas:
            return self.call(name, *args)
        wait = ("WAIT", replicas, REPLICATED_MS)
        commands = [LOOK, self._command(name, args), wait, LOOK]
        before, reply, count, after = send_pipeline(self.client, commands)
        if isinstance(reply, NoScriptError):
            self.client.script_load(self.source(name))
            before, reply, count, after = send_pipeline(self.client, commands)
        for one in (before, reply, count, after):
            if isinstance(one, Exception):
                raise one
        if count < replicas or history_in(before) != history_in(after):
            raise Unavailable(f"{count} of {replicas} replicas have it, or the history was cut")
        return reply

    def call_many(self, name: str, calls: Sequence[Sequence[str | int]]) -> list[Any]:
        """Run a script once for each argument list, in one round trip.

        An error is an exception object among the results. Raises ConnectionError and TimeoutError.
        """
        return self.call_each([(name, args) for args in calls])

    def call_each(self, calls: Sequence[tuple[str, Sequence[str | int]]]) -> list[Any]:
        """Run scripts, each given by its name and arguments, in one round trip.

        Errors are as with :meth:`call_many`.
        """
        if not calls:
            return []
        results = send_pipeline(self.client, [self._command(*call) for call in calls])
        redo = [i for i, result in enumerate(results) if isinstance(result, NoScriptError)]
        if redo:
            for name in dict.fromkeys(calls[i][0] for i in redo):
                self.client.script_load(self.source(name))
            for i, result in zip(redo, self.call_each([calls[i] for i in redo]), strict=True):
                results[i] = result
        return results

    def waiting_calls(
        self,
        names: Sequence[str],
        streams: Mapping[str, str],
        wait_ms: int,
        max_records: int,
    ) -> WaitingCalls:
        """Calls of scripts that the server itself makes when a stream gets entries.

        ``streams`` are keys, each with the id after which an entry is awaited.
        """
        scripts = [self._command(name, [max_records]) for name in names]
        return WaitingCalls(self.client, streams, wait_ms, scripts)

    def _done(self, name: str, reply: Any, *args: str | int) -> Any:
        # This call was sent without loading the script first: the server may not know it.
        if isinstance(reply, NoScriptError):
            return self.call(name, *args)
        if isinstance(reply, Exception):
            raise reply
        return reply
