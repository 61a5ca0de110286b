"""What an error of the connection means for a user of the order API."""

from __future__ import annotations

from redis.exceptions import NoPermissionError

from mm.errors import SystemRefused, Unavailable
from mm.store import trouble_of


def order_api_error(
    error: Exception, client_id: str = "", is_admitted: bool = True
) -> Unavailable | SystemRefused:
    """The error of this package for an error of the connection.

    A client without an inbox whose user may not append to the orders of all can be admitted at any
    time: that is no refusal for good.
    """
    if isinstance(error, NoPermissionError) and not is_admitted:
        return Unavailable(
            f"the client {client_id} has no inbox: `mm acl {client_id} --add` gives it one"
        )
    found = trouble_of(error)
    if found.final or str(error).startswith("WRONGTYPE"):
        return SystemRefused(
            f"the server refuses the order API: {found.words}. Its keys must be this system's"
            " streams, and the user must be allowed to use them."
        )
    return Unavailable(found.words)
