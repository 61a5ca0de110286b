"""What is promised of an acknowledged write."""

from __future__ import annotations

from typing import Literal, get_args

Durability = Literal["always", "declared", "relaxed"]
#: ``always``: acknowledged is on disk, and the server's settings show it. ``declared``: an operator
#: says so of a service that hides its settings. ``relaxed``: acknowledged writes may be lost.
DURABILITIES: tuple[Durability, ...] = get_args(Durability)
