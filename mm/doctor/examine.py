"""Everything that is looked at, in its order."""

from __future__ import annotations

from mm.doctor.directory import directory
from mm.doctor.finding import Finding
from mm.doctor.machine import machine, versions
from mm.doctor.server import running
from mm.host import System


def examine(system: System, server: str | None = None) -> list[Finding]:
    """Everything about a system that runs, is stopped, or is yet to be made.

    ``server`` is the program that `mm up --server` would run.
    """
    found = [*machine(), *versions(server)]
    if system.redis_url is None:
        found += directory(system)
    found += running(system)
    return found
