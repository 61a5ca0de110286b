"""The users of the managed server: a file that the server reads when it starts (ACL)."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path

import redis
from redis.exceptions import RedisError

from mm.errors import UsageError, ValueRefused
from mm.host.datadir import DataDir
from mm.host.state_file import TEMPORARY, write_state
from mm.store import (
    ADMIN,
    ROLES,
    Operator,
    Scripts,
    acl_rules,
    as_own_error,
    execute,
    hashed,
    is_client,
    partitions_of,
    read_secret,
)

#: The publishers that a new data directory has users for.
CLIENTS = tuple(f"publisher-{number}" for number in range(1, 9))
#: Who admits the clients of a system that `mm up` starts, and why a client is admitted.
MM = Operator("mm")
ADMITTED_WHY = "it has a user"
#: Every system of the server, whatever its key prefix: all of them have one owner.
ANY_PREFIX = "{*}"


def server_users(clients: Iterable[str] = ()) -> list[str]:
    """The users that a managed server has, for these clients beside the usual ones."""
    plain = [name for name, role in ROLES.items() if not role.of_clients]
    return [ADMIN, *plain, *dict.fromkeys((*CLIENTS, *clients))]


def make_secrets(directory: Path, users: Iterable[str]) -> dict[str, str]:
    """The secrets in a directory by user: those of these users, and those that are there already.

    Missing ones are made, each whole after any crash. SystemRefused when a file cannot be read,
    OSError when one cannot be written.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    for user in users:
        if not (directory / user).exists():
            write_state(directory / user, f"{secrets.token_hex(32)}\n", 0o600)
    names = [path.name for path in directory.iterdir() if path.suffix != TEMPORARY]
    return {name: read_secret(directory / name) for name in sorted(names)}


def write_users(data_dir: DataDir, clients: Iterable[str] = ()) -> Path:
    """Make the missing secrets, and write the file of users; its path.

    It holds no secret, only what a server needs to check one. Without a secret nobody may do
    anything. The user ``default`` is another name of the admin: Redis 7.0 loads its log as that
    user, and skips without a word each transaction that it has no right to.
    """
    made = make_secrets(data_dir.secrets, server_users(clients))
    lines = [f"user default on #{hashed(made[ADMIN])} {rules_of(ADMIN, ANY_PREFIX)}"]
    for user, secret in made.items():
        lines.append(f"user {user} on #{hashed(secret)} {rules_of(user, ANY_PREFIX)}")
    path, text = data_dir.path / "users.acl", "\n".join(lines) + "\n"
    # A full disk must not keep a server from starting again.
    if not path.exists() or path.read_bytes() != text.encode():
        write_state(path, text, 0o600)
    return path


def admit_clients(
    data_dir: DataDir,
    scripts: Scripts,
    system_id: str,
    clients: Iterable[str] = (),
    by: Operator = MM,
) -> list[str]:
    """Give an inbox to these clients and to all that the directory has users for; the new ones.

    Its errors are those of :meth:`mm.store.Scripts.admit`.
    """
    found = {*clients}
    if data_dir.secrets.is_dir():
        found |= {path.name for path in data_dir.secrets.iterdir() if is_client(path.name)}
    return admit_everywhere(scripts, system_id, sorted(found), by)


def admit_everywhere(
    scripts: Scripts, system_id: str, clients: Sequence[str], by: Operator
) -> list[str]:
    """Give an inbox to these clients, in each partition of the system; the new ones.

    Its errors are those of :meth:`mm.store.Scripts.admit`.
    """
    admitted: set[str] = set()
    for one in partitions_of(scripts):
        admitted |= set(one.admit(system_id, by, ADMITTED_WHY, clients))
    return sorted(admitted)


def rules_of(user: str, prefix: str) -> str:
    """The rules of a user in one line; the admin may do everything."""
    if user == ADMIN:
        return "~* &* +@all"
    try:
        return " ".join(acl_rules(user, prefix))
    except ValueRefused:
        # A file that is no user's secret gives no rights.
        return "-@all"


def add_users(data_dir: DataDir, users: Iterable[str], servers: Iterable[redis.Redis]) -> None:
    """Make secrets for these users; ``servers`` are the admin's clients of those that run.

    UsageError when the directory is not that of an `mm up`; SystemRefused and Unavailable when the
    server refuses or is not there.
    """
    if not data_dir.logs.is_dir():
        raise UsageError(f"{data_dir}: no `mm up` has ever run there")
    named = list(users)
    made = make_secrets(data_dir.secrets, named)
    for client, user in itertools.product(servers, named):
        rules = rules_of(user, ANY_PREFIX).split()
        words = ("reset", "on", f"#{hashed(made[user])}", *rules)
        try:
            execute(client, "ACL", "SETUSER", user, *words)
        except (RedisError, OSError) as error:
            raise as_own_error(error) from error
