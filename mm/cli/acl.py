"""``mm acl``: the users of a server, one for each role."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mm.cli.operating import operator_of, system_id_of, who_option
from mm.cli.options import DirectoryPath, json_option, system_options
from mm.errors import UsageError
from mm.host import (
    ADMITTED_WHY,
    System,
    add_users,
    admit_clients,
    admit_everywhere,
    make_secrets,
    rules_of,
)
from mm.store import (
    ADMIN,
    OPERATOR,
    ROLES,
    Operator,
    client_role,
    hashed,
    is_client,
    open_client,
    read_identity,
)

USERS = (*(name for name, role in ROLES.items() if not role.of_clients), "publisher-1")


@click.command("acl")
@click.argument("users", nargs=-1, metavar="[USER]...")
@click.option(
    "--secrets",
    type=DirectoryPath(),
    help="Make a secret for each user in this directory, in a file that only its owner can read.",
)
@click.option(
    "--add",
    "adds",
    is_flag=True,
    help="Give each client an inbox, and make the users on the managed server of the data"
    " directory, now and at each start.",
)
@who_option
@json_option
@system_options
def acl_command(
    users: tuple[str, ...],
    secrets: Path | None,
    adds: bool,
    who: str,
    as_json: bool,
    system: System,
) -> None:
    """Print the server's users for the roles, as lines of an ACL file.

    USER is exchange, state, maker, viewer, operator, or a publisher by its client's name, such as
    publisher-1; by default all but further publishers. The managed server of `mm up` has these
    users anyhow. On another server add the lines to its ACL file, and give each process the URL of
    its user in MM_REDIS_URL. With --secrets a line has the hash of the user's secret, else none: no
    one can log in as a user without one.
    """
    named = list(dict.fromkeys(users)) or list(USERS)
    for user in named:
        client_role(user)
    if adds:
        if secrets is not None:
            raise UsageError("--add: it makes the secrets in the data directory: omit --secrets")
        by, add = operator_of(who, ADMITTED_WHY), _add if system.redis_url is None else _admit
        facts, words = add(named, system, by)
        click.echo(json.dumps(facts, indent=2) if as_json else words)
        return
    found: dict[str, str] = {}
    if secrets is not None:
        try:
            secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = make_secrets(secrets, named)
        except OSError as error:
            raise UsageError(f"{secrets}: cannot be used: {error.strerror}") from error
    rules = {}
    for user in named:
        login = f"on #{hashed(found[user])}" if user in found else "on"
        rules[user] = f"{login} {rules_of(user, system.keys.prefix)}"
    if as_json:
        click.echo(json.dumps({"users": rules}, indent=2))
        return
    for user, rule in rules.items():
        click.echo(f"user {user} {rule}")


def _add(users: list[str], system: System, by: Operator) -> tuple[dict[str, object], str]:
    """Make the users of the managed server; what was done as facts and in words."""
    urls = system.data_dir.served
    running = bool(urls)
    add_users(system.data_dir, users, [open_client(url, user=ADMIN) for url in urls])
    admitted: list[str] = []
    if running:
        scripts = system.scripts(user=OPERATOR)
        identity = read_identity(scripts)
        if identity is not None:
            admitted = admit_clients(system.data_dir, scripts, identity.system_id, by=by)
    when = "now, and at each start" if running else "at its next start"
    facts: dict[str, object] = {"users": users, "running": running, "admitted": admitted}
    return facts, f"the server of {system.data_dir} has the users {' '.join(users)} {when}"


def _admit(users: list[str], system: System, by: Operator) -> tuple[dict[str, object], str]:
    """Give inboxes to the clients among the users, on a server that is not managed."""
    clients = [user for user in users if is_client(user)]
    if not clients:
        raise UsageError("--add: on a server that is not managed it is for publishers alone")
    scripts = system.scripts(user=OPERATOR)
    admitted = admit_everywhere(scripts, system_id_of(scripts), clients, by)
    return {"users": clients, "running": True, "admitted": admitted}, (
        f"the exchange reads the inboxes of {' '.join(clients)}; the ACL file of the server must"
        " have their users"
    )
