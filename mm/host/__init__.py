"""The machine: data directory, managed server, child processes, logs, throwaway systems."""

from mm.host.archives import ArchiveFacts, archive_facts, archives_of
from mm.host.binary import allocator, default_binary, find_binary, identify
from mm.host.bundle import (
    FILES,
    MANIFEST,
    Manifest,
    check_files,
    copy_files,
    files_beside,
    holds_keys,
    read_manifest,
    sums,
    unfinished,
)
from mm.host.cluster import ManagedCluster
from mm.host.cluster_shape import BUS_OFFSET, Shape, known_shape, port_of, source_of
from mm.host.datadir import DataDir, Lock, full_disk, lock_owner, undisturbed
from mm.host.identity import check_directory, known_system_id, known_systems, open_system
from mm.host.interpreter import module_command, module_environment
from mm.host.listening import Listening
from mm.host.live_copy import copy_running, served_binary
from mm.host.live_log import LiveLog
from mm.host.locate import CHILD_URL, System
from mm.host.logs import LOG_FORMATS, LogFormat, LogOptions, log_to_file, log_to_stderr
from mm.host.nurse import ServerNurse
from mm.host.plan import ChildPlan, PlannedChild
from mm.host.presence import UpPresence
from mm.host.private_copy import (
    binary_for,
    made_by,
    move_ports,
    places_of,
    private_directory,
    servers_in,
    servers_over,
)
from mm.host.run_config import wanted_config
from mm.host.server import ManagedServer
from mm.host.serving import (
    DEFAULT_ADDRESS,
    ServeAddress,
    check_serve_extra,
    gateway_words,
    tokens_directory,
)
from mm.host.stopped import copy_stopped, logs_of, reading
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
    "DEFAULT_ADDRESS",
    "FILES",
    "LEASH_FD",
    "LEASH_SERVER",
    "LOG_FORMATS",
    "MANIFEST",
    "NOTES_KEPT",
    "STOPPED_STATUS",
    "ArchiveFacts",
    "ChildPlan",
    "DataDir",
    "Listening",
    "LiveLog",
    "Lock",
    "LogFormat",
    "LogOptions",
    "MakeServer",
    "ManagedCluster",
    "ManagedServer",
    "Manifest",
    "PlannedChild",
    "ServeAddress",
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
    "archive_facts",
    "archives_of",
    "binary_for",
    "check_directory",
    "check_files",
    "check_serve_extra",
    "copy_files",
    "copy_running",
    "copy_stopped",
    "default_binary",
    "exit_reason",
    "exit_with_parent",
    "files_beside",
    "find_binary",
    "full_disk",
    "gateway_words",
    "holds_keys",
    "identify",
    "known_shape",
    "known_system_id",
    "known_systems",
    "lock_owner",
    "log_to_file",
    "log_to_stderr",
    "logs_of",
    "made_by",
    "make_secrets",
    "module_command",
    "module_environment",
    "move_ports",
    "open_system",
    "places_of",
    "port_of",
    "private_directory",
    "read_manifest",
    "reading",
    "rules_of",
    "served_binary",
    "servers_in",
    "servers_over",
    "source_of",
    "stamped",
    "sums",
    "tokens_directory",
    "undisturbed",
    "unfinished",
    "wanted_config",
]
