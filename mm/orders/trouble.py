"""What an error of the connection means for a user of the order API."""

from __future__ import annotations

from mm.errors import SystemRefused, Unavailable
from mm.store import trouble_of


def order_api_error(error: Exception) -> Unavailable | SystemRefused:
    """The error of this package for an error of the connection."""
    found = trouble_of(error)
    if found.final or str(error).startswith("WRONGTYPE"):
        return SystemRefused(
            f"the server refuses the order API: {found.words}. Its keys must be this system's"
            " streams, and the user must be allowed to use them."
        )
    return Unavailable(found.words)
