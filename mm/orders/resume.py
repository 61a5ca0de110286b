"""How a sender that was started again finds out where its run stands: from its own reports.

The orders of a run have the ids ``RUN-1``, ``RUN-2`` and so on. Order number n is sent only when
every order up to n - ``in_flight`` has its report. So one report of the run shows how far it is.
"""

from __future__ import annotations

import secrets

import redis

from mm.errors import ValueRefused
from mm.market import check_id
from mm.store import Keys, execute, text

#: The longest run id, so that an order id of it has at most 64 characters.
MAX_RUN_ID = 40
#: Report entries of one read; an entry may have a thousand reports.
_ENTRIES = 20


def new_run_id() -> str:
    """An id for a new run."""
    return secrets.token_hex(4)


def check_run_id(run_id: str) -> str:
    """The id itself; ValueRefused when it cannot begin the order ids of a run."""
    check_id("run_id", run_id)
    if len(run_id) > MAX_RUN_ID:
        raise ValueRefused(f"run_id {run_id!r}: it must have {MAX_RUN_ID} characters at most")
    return run_id


def order_number(run_id: str, order_id: str) -> int:
    """The number of an order of the run; 0 for any other order."""
    run, _, number = order_id.rpartition("-")
    return int(number) if run == run_id and number.isdecimal() else 0


def newest_answered(client: redis.Redis, keys: Keys, client_id: str, run_id: str) -> int:
    """The number of an order of the run in the client's newest reports; 0 without any."""
    stream, end = keys.member("reports:*", client_id), "+"
    while entries := execute(client, "XREVRANGE", stream, end, "-", "COUNT", _ENTRIES):
        for entry_id, fields in entries:
            number = max(order_number(run_id, text(order_id)) for order_id in fields)
            if number:
                return number
            end = f"({text(entry_id)}"
    return 0
