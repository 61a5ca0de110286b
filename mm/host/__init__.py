"""The machine: data directory, managed server, child processes, logs, throwaway systems."""

from mm.host.binary import allocator, default_binary, find_binary, identify
from mm.host.datadir import DataDir, Lock
from mm.host.locate import System
from mm.host.logs import log_to_file, log_to_stderr
from mm.host.nurse import ServerNurse
from mm.host.plan import ChildPlan, PlannedChild
from mm.host.server import ManagedServer
from mm.host.supervise import (
    LEASH_FD,
    LEASH_SERVER,
    NOTES_KEPT,
    Supervisor,
    exit_reason,
    exit_with_parent,
)
from mm.host.throwaway import ThrowawaySystem, interrupted_by_signals

__all__ = [
    "LEASH_FD",
    "LEASH_SERVER",
    "NOTES_KEPT",
    "ChildPlan",
    "DataDir",
    "Lock",
    "ManagedServer",
    "PlannedChild",
    "ServerNurse",
    "Supervisor",
    "System",
    "ThrowawaySystem",
    "allocator",
    "default_binary",
    "exit_reason",
    "exit_with_parent",
    "find_binary",
    "identify",
    "interrupted_by_signals",
    "log_to_file",
    "log_to_stderr",
]
