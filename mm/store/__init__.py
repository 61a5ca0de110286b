"""The only door to Redis: keys, connection, scripts, snapshots."""

from mm.store.archiving import archived_fills
from mm.store.beat import Beat
from mm.store.calls import (
    WaitingCalls,
    execute,
    hash_of,
    pairs,
    send_pipeline,
    server_ms,
    text,
)
from mm.store.cluster import SOCKET_NAME, over_tag
from mm.store.commits import UPDATES_READ, Commit, latest_commits
from mm.store.config import read_config, require_config
from mm.store.connection import (
    SOCKET_TIMEOUT_S,
    ServerInfo,
    accepts,
    check_durability,
    check_serves,
    open_client,
    server_info,
    server_url,
)
from mm.store.control import (
    MAX_WHY,
    NO_REASON,
    REPAIRED_FIELDS,
    Controlled,
    ModeChange,
    Operator,
)
from mm.store.events import (
    LIFECYCLE,
    EventSide,
    LifecycleEvent,
    Operation,
    QuoteEvent,
    parse_events,
    parse_fills,
)
from mm.store.everywhere import apply_config, set_modes
from mm.store.identity import Identity, read_identity, stored_fields
from mm.store.keys import DEFAULT_PREFIX, Keys
from mm.store.lua import script_names
from mm.store.memory import OrderMemory, OrderName, RememberedOrder, remembered_orders
from mm.store.nodes import Node, Placement, read_nodes, read_placement
from mm.store.partitions import partition_of, partitions_of, release_expired
from mm.store.presence import Presence
from mm.store.raw import Raw, RawSymbol, Stream, read_raw
from mm.store.records import (
    ClientInfo,
    Control,
    Cursors,
    Exposure,
    Fields,
    LiveQuote,
    ProcessInfo,
    QuoteSide,
    Reservation,
    SideName,
    position_of,
)
from mm.store.refusals import config_differs, foreign_system, split_system
from mm.store.replicated import history_of, is_replicated
from mm.store.replies import (
    Collected,
    Committed,
    Configured,
    Expired,
    Matched,
    Survey,
    SurveyRow,
    Withdrawn,
)
from mm.store.roles import ADMIN, OPERATOR, ROLES, VIEWER, acl_rules, client_role, is_client
from mm.store.script_calls import LOOK, history_in
from mm.store.scripts import Scripts
from mm.store.secrets import hashed, read_secret, secret_of, secrets_directory
from mm.store.snapshot import Snapshot, SymbolState
from mm.store.streams import END, StreamReader, is_stream_id, stream_id_order
from mm.store.symbols import read_symbols
from mm.store.system import (
    Joined,
    create_system,
    durability_in,
    durability_settings,
    join_system,
)
from mm.store.trouble import Trouble, as_own_error, trouble_of
from mm.store.urls import cluster_url, safe_url, socket_url
from mm.store.whole import take_snapshot

__all__ = [
    "ADMIN",
    "DEFAULT_PREFIX",
    "END",
    "LIFECYCLE",
    "LOOK",
    "MAX_WHY",
    "NO_REASON",
    "OPERATOR",
    "REPAIRED_FIELDS",
    "ROLES",
    "SOCKET_NAME",
    "SOCKET_TIMEOUT_S",
    "UPDATES_READ",
    "VIEWER",
    "Beat",
    "ClientInfo",
    "Collected",
    "Commit",
    "Committed",
    "Configured",
    "Control",
    "Controlled",
    "Cursors",
    "EventSide",
    "Expired",
    "Exposure",
    "Fields",
    "Identity",
    "Joined",
    "Keys",
    "LifecycleEvent",
    "LiveQuote",
    "Matched",
    "ModeChange",
    "Node",
    "Operation",
    "Operator",
    "OrderMemory",
    "OrderName",
    "Placement",
    "Presence",
    "ProcessInfo",
    "QuoteEvent",
    "QuoteSide",
    "Raw",
    "RawSymbol",
    "RememberedOrder",
    "Reservation",
    "Scripts",
    "ServerInfo",
    "SideName",
    "Snapshot",
    "Stream",
    "StreamReader",
    "Survey",
    "SurveyRow",
    "SymbolState",
    "Trouble",
    "WaitingCalls",
    "Withdrawn",
    "accepts",
    "acl_rules",
    "apply_config",
    "archived_fills",
    "as_own_error",
    "check_durability",
    "check_serves",
    "client_role",
    "cluster_url",
    "config_differs",
    "create_system",
    "durability_in",
    "durability_settings",
    "execute",
    "foreign_system",
    "hash_of",
    "hashed",
    "history_in",
    "history_of",
    "is_client",
    "is_replicated",
    "is_stream_id",
    "join_system",
    "latest_commits",
    "open_client",
    "over_tag",
    "pairs",
    "parse_events",
    "parse_fills",
    "partition_of",
    "partitions_of",
    "position_of",
    "read_config",
    "read_identity",
    "read_nodes",
    "read_placement",
    "read_raw",
    "read_secret",
    "read_symbols",
    "release_expired",
    "remembered_orders",
    "require_config",
    "safe_url",
    "script_names",
    "secret_of",
    "secrets_directory",
    "send_pipeline",
    "server_info",
    "server_ms",
    "server_url",
    "set_modes",
    "socket_url",
    "split_system",
    "stored_fields",
    "stream_id_order",
    "take_snapshot",
    "text",
    "trouble_of",
]
