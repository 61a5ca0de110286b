"""Makes a real server refuse writes, as a fault of its machine would."""

from __future__ import annotations

from pathlib import Path

import redis

from mm.store import execute
from tests.kit.backends import wait_for


def fail_to_save(client: redis.Redis) -> None:
    """Let a snapshot fail, so that the server refuses writes (MISCONF).

    A directory stands where its file must go.
    """
    client.config_set("save", "3600 1")
    place = Path(client.connection_pool.connection_kwargs["path"]).parent / "dump.rdb"
    place.mkdir(exist_ok=True)
    execute(client, "BGSAVE")
    wait_for("a failure", lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
