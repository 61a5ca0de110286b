"""The machine: data directory, managed server, child processes, logs, throwaway systems."""

from mm.host.binary import allocator, default_binary, find_binary, identify
from mm.host.cluster import ManagedCluster
from mm.host.cluster_shape import BUS_OFFSET, Shape, known_shape, port_of, source_of
from mm.host.datadir import DataDir, Lock, full_disk, lock_owner
from mm.host.identity import check_directory, known_system_id, open_system
from mm.host.interpreter import module_command, module_environment
from mm.host.listening import Listening
from mm.host.locate import CHILD_URL, System
from mm.host.logs import log_to_file, log_to_stderr
from mm.host.nurse import ServerNurse
from mm.host.plan import ChildPlan, PlannedChild
from mm.host.presence import UpPresence
from mm.host.run_config import wanted_config
from mm.host.server import ManagedServer
from mm.host.stopped import reading
from mm.host.supervise import (
    LEASH_FD,
    LEASH_SERVER,
    NOTES_KEPT,
    STOPPED_STATUS,
    Supervisor,
    exit_reason,
    exit_with_parent,
    stamped,
)
from mm.host.throwaway import MakeServer, ServerT, ThrowawaySystem
from mm.host.users import (
    ADMITTED_WHY,
    add_users,
    admit_clients,
    admit_everywhere,
    make_secrets,
    rules_of,
)

__all__ = [
    "ADMITTED_WHY",
    "BUS_OFFSET",
    "CHILD_URL",
    "LEASH_FD",
    "LEASH_SERVER",
    "NOTES_KEPT",
    "STOPPED_STATUS",
    "ChildPlan",
    "DataDir",
    "Listening",
    "Lock",
    "MakeServer",
    "ManagedCluster",
    "ManagedServer",
    "PlannedChild",
    "ServerNurse",
    "ServerT",
    "Shape",
    "Supervisor",
    "System",
    "ThrowawaySystem",
    "UpPresence",
    "add_users",
    "admit_clients",
    "admit_everywhere",
    "allocator",
    "check_directory",
    "default_binary",
    "exit_reason",
    "exit_with_parent",
    "find_binary",
    "full_disk",
    "identify",
    "known_shape",
    "known_system_id",
    "lock_owner",
    "log_to_file",
    "log_to_stderr",
    "make_secrets",
    "module_command",
    "module_environment",
    "open_system",
    "port_of",
    "reading",
    "rules_of",
    "source_of",
    "stamped",
    "wanted_config",
]
