"""What an error of the server means: its kind, and one sentence for people.

Every process, command, screen and log takes its words from here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import redis
from redis.exceptions import RedisError

from mm.errors import MMError, SystemRefused, Unavailable

TroubleKind = Literal["not_now", "refusing_writes", "denied", "unsupported", "unknown"]

#: The first word of an error reply -> its kind, and what it means.
_CODES: dict[str, tuple[TroubleKind, str]] = {
    "LOADING": ("not_now", "the server is loading its data"),
    "BUSY": (
        "not_now",
        "a script of some program has run for long and blocks the server (BUSY). Wait, or end it"
        " with SCRIPT KILL",
    ),
    "TRYAGAIN": ("not_now", "the server's cluster is moving keys (TRYAGAIN)"),
    "CLUSTERDOWN": ("not_now", "the server's cluster is down (CLUSTERDOWN)"),
    "MOVED": (
        "unsupported",
        "the server is a node of a cluster, and another node has the keys (MOVED). Give the URL of"
        " the cluster: redis+cluster://HOST:PORT",
    ),
    "MASTERDOWN": ("not_now", "the server is a replica, and its primary is down (MASTERDOWN)"),
    "OOM": (
        "refusing_writes",
        "the server refuses writes: its memory limit is reached (OOM). Raise maxmemory, or free"
        " memory",
    ),
    "MISCONF": (
        "refusing_writes",
        "the server refuses writes: it cannot write to its disk (MISCONF). Is the disk full?",
    ),
    "READONLY": (
        "refusing_writes",
        "the server refuses writes: it is a read-only replica (READONLY). Give the URL of its"
        " primary with --redis-url",
    ),
    "NOREPLICAS": (
        "refusing_writes",
        "the server refuses writes: it has fewer replicas than min-replicas-to-write asks for"
        " (NOREPLICAS)",
    ),
    "NOAUTH": (
        "denied",
        "the server asks for a password (NOAUTH). Give it in the URL, best in the environment"
        " variable MM_REDIS_URL",
    ),
    "WRONGPASS": (
        "denied",
        "the server refuses the user name or the password. Correct the URL in --redis-url or in"
        " the environment variable MM_REDIS_URL",
    ),
}
#: redis-py removes the first word of these replies, and raises a class of its own.
_CLASSES: dict[type[Exception], str] = {
    redis.exceptions.BusyLoadingError: "LOADING",
    redis.exceptions.TryAgainError: "TRYAGAIN",
    redis.exceptions.MovedError: "MOVED",
    redis.exceptions.AskError: "MOVED",
    redis.exceptions.MasterDownError: "MASTERDOWN",
    redis.exceptions.ClusterDownError: "CLUSTERDOWN",
    redis.exceptions.OutOfMemoryError: "OOM",
    redis.exceptions.ReadOnlyError: "READONLY",
    redis.exceptions.AuthenticationError: "WRONGPASS",
    redis.exceptions.AuthenticationWrongNumberOfArgsError: "WRONGPASS",
}


@dataclass(frozen=True)
class Trouble:
    """What an error means. ``words`` is a sentence without its full stop, and has no secret.

    ``not_now`` ends by itself: the server is loading, busy, or not there. ``refusing_writes`` ends
    when somebody helps the server; reading still works. ``denied`` and ``unsupported`` do not end:
    the user lacks a right, or the server a command. ``answering`` says whether a server is there.
    """

    kind: TroubleKind
    words: str
    answering: bool = True

    @property
    def final(self) -> bool:
        """Whether trying again is of no use."""
        return self.kind in ("denied", "unsupported")


def trouble_of(error: Exception) -> Trouble:
    """What an error of redis-py, of a connection, or of this package means."""
    text = " ".join(str(error).split()).rstrip(".")
    if isinstance(error, MMError):
        return Trouble("not_now" if isinstance(error, Unavailable) else "unknown", text)
    if isinstance(error, redis.exceptions.AuthenticationError) and "required" in text:
        return Trouble(*_CODES["NOAUTH"])
    for kind, code in _CLASSES.items():
        if isinstance(error, kind):
            return Trouble(*_CODES[code])
    if isinstance(error, redis.exceptions.NoPermissionError):
        return Trouble("denied", f"the server does not allow it: {text}")
    if isinstance(error, redis.exceptions.ResponseError):
        return _reply_trouble(text)
    if isinstance(error, redis.exceptions.TimeoutError):
        return Trouble("not_now", f"the server does not answer in time ({text})")
    if isinstance(error, redis.exceptions.ConnectionError) and "max number of clients" in text:
        return Trouble("not_now", "the server accepts no more clients (maxclients)")
    if isinstance(error, redis.exceptions.ConnectionError | OSError):
        return Trouble("not_now", f"no server answers: {text}", answering=False)
    return Trouble("unknown", f"what answers does not speak as a Redis server does ({text})")


def _reply_trouble(text: str) -> Trouble:
    code = text.partition(" ")[0]
    if "No space left" in text:
        code = "MISCONF"
    if code in _CODES:
        return Trouble(*_CODES[code])
    if code == "DAMAGED":
        return Trouble("unknown", f"keys of the system are damaged: {text.removeprefix(code)[1:]}")
    if code == "NOPERM":
        return Trouble("denied", f"the server does not allow it: {text}")
    if "unknown command" in text or "unknown subcommand" in text:
        named = re.sub(r"[,.]? with args beginning with:.*", "", text)
        return Trouble("unsupported", f"the server lacks a command that is needed: {named}")
    if "DB index is out of range" in text:
        return Trouble("unsupported", "the server has no database of the number in the URL")
    return Trouble("unknown", f"the server refused a command: {text}")


def as_own_error(error: RedisError | OSError) -> SystemRefused | Unavailable:
    """The error of this package: SystemRefused when trying again is of no use."""
    found = trouble_of(error)
    return SystemRefused(found.words) if found.final else Unavailable(found.words)
