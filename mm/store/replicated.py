"""Whether the replicas of a server have what it has done."""

from __future__ import annotations

import time

import redis

#: Seconds that replicas may take to say what they have; they do so once a second.
PATIENCE_S, PAUSE_S = 2.0, 0.05


def history_of(client: redis.Redis) -> str:
    """The name of the server's history; its errors are raised."""
    return str(client.info("replication").get("master_replid", ""))


def is_replicated(client: redis.Redis, history: str, replicas: int) -> bool:
    """Whether so many replicas have all that the server has now, in this ``history``.

    Waits ``PATIENCE_S`` for them. Unlike WAIT it needs no write of the caller's own: a command that
    found everything done already can be confirmed too. Errors of the connection are raised.
    """
    goal: int | None = None
    until = time.monotonic() + PATIENCE_S
    while True:
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
        if time.monotonic() > until:
            return False
        time.sleep(PAUSE_S)
