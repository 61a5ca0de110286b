"""The roles: one user of the server for each, with the rights that its job needs and no others.

The rights to keys and commands follow from the scripts that a role runs: a script's ``KEYS`` line
names what it writes, its ``READS`` line what it reads, and its text the commands. A role runs these
scripts only, by their digests. Source: the ACL rules of Redis 7 and Valkey.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from mm.errors import UsageError, ValueRefused
from mm.market import check_id
from mm.store.keys import CATALOGUE
from mm.store.lua import assembled, key_names, only_reads, read_names, runner, script_names

#: What every user may do: connect, and ask whether the server keeps what it acknowledges.
_CONNECTING = ("ping", "dbsize", "info", "config|get", "client|setname", "select", "cluster|slots")
#: What a process does besides: join, load its scripts, and wait in the server.
_PROCESS = (*_CONNECTING, "script|load", "hget", "hgetall", "hmget", "xread", "client|reply")
_JOINING = ("config", "terms:*")
#: The commands by which programs read keys of each type.
_READING = (
    *("exists", "type", "scan", "hget", "hgetall", "hmget", "hscan", "hlen", "lrange", "llen"),
    *("xlen", "xrange", "xrevrange", "xread", "xinfo|stream"),
    *("zrange", "zrangebyscore", "zscore", "zcard"),
    *("pttl", "pexpiretime", "time", "memory|usage", "cluster|nodes"),
)
_PRESENCE = ("heartbeat", "farewell")
#: The scripts that only the processes of the system run.
_OF_PROCESSES = ("collect", "match", "commit", "place", "trim", "lease", "treasury")


@dataclass(frozen=True)
class Role:
    """A role: what it is for, the scripts that it runs, and what it does without a script.

    ``commands`` are for what it reads without a script: ``reads`` are catalogue names. To the
    streams ``appends`` it may append, and of the streams ``follows`` read entries; no other command
    reaches them. A role ``of_clients`` has a user for each client, which may append to the client's
    inbox and read its reports.
    """

    name: str
    what: str
    scripts: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    appends: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()
    of_clients: bool = False


ROLES = {
    role.name: role
    for role in (
        Role(
            "exchange",
            "matches orders and ends expired quotes",
            ("collect", "match", "expire", *_PRESENCE),
            (*_PROCESS, "hkeys"),
            (*_JOINING, "orders"),
        ),
        Role(
            "state",
            "commits fills to positions",
            ("commit", "expire", *_PRESENCE),
            _PROCESS,
            (*_JOINING, "fills"),
        ),
        Role(
            "maker",
            "surveys symbols and places quotes",
            ("survey", "place", "expire", *_PRESENCE),
            _PROCESS,
            (*_JOINING, "positions"),
        ),
        Role(
            "archivist",
            "archives committed fills, and trims the ledger by what is archived",
            ("trim", *_PRESENCE),
            (*_PROCESS, "xrange", "xinfo|stream", "time"),
            (*_JOINING, "fills", "orders", "quotes", "operations", "cursors", "seen:*"),
        ),
        Role(
            "balancer",
            "moves units of the limit between partitions",
            ("lease", "treasury", *_PRESENCE),
            (*_PROCESS, "wait"),
            _JOINING,
        ),
        Role(
            "publisher",
            "sends the orders of one client, reads their reports, and follows the quote events",
            (),
            (*_CONNECTING, "hget", "hgetall", "hmget", "exists", "pttl", "wait"),
            (*_JOINING, "quote:*", "clients", "routes"),
            # A paced replay waits until the quotes have answered.
            follows=("quotes",),
            of_clients=True,
        ),
        Role(
            "viewer",
            "reads everything and writes nothing",
            ("snapshot", "survey"),
            (*_CONNECTING, "script|load", *_READING),
            tuple(CATALOGUE),
        ),
        Role(
            "operator",
            "changes modes, limits and the configuration, sends orders and repairs",
            tuple(name for name in script_names() if name not in _OF_PROCESSES),
            (*_PROCESS, *_READING, "acl|whoami", "wait"),
            tuple(CATALOGUE),
            ("orders", "inbox:*"),
        ),
    )
}
#: The streams of one client: where its orders go, and where their reports come from.
OF_A_CLIENT = ("inbox:*", "reports:*")
#: The user that manages the server itself: it may do everything.
ADMIN = "admin"
VIEWER, OPERATOR = "viewer", "operator"


def client_role(user: str) -> tuple[Role, str]:
    """The role of a user, and the client that it is for, or empty text.

    A publisher's user has its client's name: ``publisher-1`` sends the orders of that client.
    """
    if user in ROLES and not ROLES[user].of_clients:
        return ROLES[user], ""
    kind, _, number = user.partition("-")
    if kind in ROLES and ROLES[kind].of_clients and number:
        return ROLES[kind], check_id("user", user)
    named = " ".join(name for name, role in ROLES.items() if not role.of_clients)
    raise ValueRefused(
        f"user {user!r}: it must be one of {named}, or a publisher such as publisher-1"
    )


def is_client(user: str) -> bool:
    """Whether a user of this name sends the orders of a client."""
    try:
        return client_role(user)[0].of_clients
    except UsageError:
        return False


def acl_rules(user: str, prefix: str) -> list[str]:
    """The ACL rules of a user, without its password.

    ``prefix`` begins all keys; it is a pattern, in which ``*`` is any text.
    """
    role, client = client_role(user)
    rights: dict[str, set[str]] = {}

    def allow(names: Sequence[str], right: str) -> None:
        for name in names:
            rights.setdefault(name, set()).update(right)

    allow(role.reads, "R")
    commands = set(role.commands)
    for script in role.scripts:
        allow(key_names(script), "R" if only_reads(script) else "RW")
        allow(read_names(script), "R")
        commands |= script_commands(script)
    rules = [f"%{''.join(sorted(found))}~{prefix}:{name}" for name, found in sorted(rights.items())]
    rules += ["-@all", *(f"+{command}" for command in sorted(commands))]
    rules += [f"+{runner(script)}|{digest(script)}".lower() for script in sorted(role.scripts)]
    # A selector: its commands reach its keys only, and these keys no other command.
    rules += [f"(-@all +xadd %W~{prefix}:{name})" for name in role.appends]
    rules += [f"(-@all +xread +xrevrange %R~{prefix}:{name})" for name in role.follows]
    if role.appends:
        rules.append(f"(-@all +pexpire %RW~{prefix}:{OF_A_CLIENT[1]})")
    if role.of_clients:
        inbox, reports = (f"{prefix}:{name.removesuffix('*')}{client}" for name in OF_A_CLIENT)
        rules += [f"(-@all +xadd %W~{inbox})", f"(-@all +xread +xrevrange %R~{reports})"]
        # With replicas the write after which its reports are final.
        rules += [f"(-@all +pexpire %RW~{reports})"]
    return ["resetchannels", *rules]


@cache
def digest(script: str) -> str:
    """The digest by which a server knows the script."""
    return hashlib.sha1(assembled(script).encode(), usedforsecurity=False).hexdigest()


@cache
def script_commands(script: str) -> frozenset[str]:
    """The commands that the script calls."""
    found: list[str] = re.findall(r"redis\.call\('([A-Z]+)'", assembled(script))
    called = {name.lower() for name in found}
    # Its includes may have functions that write, which it never calls.
    return frozenset(called & set(_READING) if only_reads(script) else called)
