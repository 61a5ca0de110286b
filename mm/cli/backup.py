"""``mm backup`` and ``mm restore``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from mm.backup import back_up, restore
from mm.cli.options import DirectoryPath, json_option, server_option, system_options
from mm.errors import UsageError, shown_path
from mm.host import DataDir, Manifest, System
from mm.instant import timestamp
from mm.terminal import progress


@click.command("backup")
@click.argument("backup", type=DirectoryPath())
@server_option
@json_option
@system_options
def backup_command(backup: Path, server: str | None, as_json: bool, system: System) -> None:
    """Back a system up, running or stopped, and audit the backup.

    BACKUP is a new directory. It has every write that was acknowledged before the instant that is
    printed, of all partitions, with their archives, and never a secret. The system goes on
    meanwhile. A private server loads the copy and the audit judges it: what does not load, or is
    not sound, is no backup.
    """
    with progress("backing up: the log is copied, loaded and audited"):
        made = back_up(system, backup, server)
    if as_json:
        click.echo(json.dumps(_facts(backup, made), indent=2))
        return
    click.echo(
        f"{shown_path(backup)}: {made.size:,} bytes in {len(made.files)} files, every write"
        f" acknowledged before {timestamp(made.instant_ms)}; the audit is clean. It has no secrets:"
        " `mm restore` makes new ones."
    )


@click.command("restore")
@click.argument("backup", type=DirectoryPath())
@click.option(
    "--data-dir",
    type=DirectoryPath(),
    required=True,
    help="The new data directory; one that is there must be empty.",
)
@json_option
def restore_command(backup: Path, data_dir: Path, as_json: bool) -> None:
    """Make a new data directory from a backup, and audit it.

    Every file of the backup is compared with its SHA-256 first. The system keeps its id: where the
    one that was backed up still runs, do not start both. Each user has a new secret.
    """
    if data_dir.resolve().is_relative_to(backup.resolve()):
        raise UsageError(f"--data-dir {shown_path(data_dir)}: it lies in the backup")
    with progress("restoring: the files are compared, copied and audited"):
        made = restore(backup, DataDir(data_dir))
    if as_json:
        click.echo(json.dumps(_facts(data_dir, made), indent=2))
        return
    where = shown_path(data_dir)
    click.echo(
        f"{where}: {made.size:,} bytes, every write acknowledged before"
        f" {timestamp(made.instant_ms)}; the audit is clean. Each user has a new secret. Go on with"
        f" `mm up --data-dir {where}`; what was traded since then is not in it."
    )


def _facts(place: Path, made: Manifest) -> dict[str, Any]:
    """What JSON says of a backup."""
    return {"path": str(place), "bytes": made.size, "audit": "ok", **asdict(made)}
