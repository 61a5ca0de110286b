"""Whether the replicas of a server have what it has done."""

from __future__ import annotations

import threading

import redis

#: Looks at what the replicas have, and seconds between two. They say it once a second.
LOOKS, PAUSE_S = 40, 0.05


def history_of(client: redis.Redis) -> str:
    """The name of the server's history; its errors are raised."""
    return str(client.info("replication").get("master_replid", ""))


def is_replicated(client: redis.Redis, history: str, replicas: int) -> bool:
    """Whether so many replicas have all that the server has now, in this ``history``.

    Looks ``LOOKS`` times. Unlike WAIT it needs no write of the caller's own: a command that found
    everything done already can be confirmed too. Errors of the connection are raised.
    """
    goal: int | None = None
    for _ in range(LOOKS):
        info = client.info("replication")
        if str(info.get("master_replid", "")) != history:
            return False
        if goal is None:
            goal = int(info.get("master_repl_offset", 0))
        followers = (info.get(f"slave{number}", {}) for number in range(16))
        have = sum(
            one.get("state") == "online" and int(one.get("offset", 0)) >= goal for one in followers
        )
        if have >= replicas:
            return True
        threading.Event().wait(PAUSE_S)
    return False
