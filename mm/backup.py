"""Backups: a copy of a system at one instant, which counts as one when it was loaded and audited.

A backup is made from the log, of a running system or of a stopped one. A private server loads the
copy, as a start after a power cut would, and the audit judges it. Nothing is written to the system.

The archives of a running system are copied after its log. So a copy has all that had left the
ledger by then, and more: what is newer than the copied ledger is cut off.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mm import __version__
from mm.archive import ArchiveCopy, EntryId
from mm.audit import audit
from mm.errors import NotRunning, SystemRefused, UsageError
from mm.host import (
    FILES,
    MANIFEST,
    DataDir,
    LiveLog,
    Manifest,
    System,
    binary_for,
    check_directory,
    check_files,
    copy_files,
    copy_running,
    copy_stopped,
    files_beside,
    find_binary,
    holds_keys,
    known_shape,
    known_systems,
    logs_of,
    made_by,
    make_secrets,
    move_ports,
    places_of,
    private_directory,
    read_manifest,
    served_binary,
    servers_in,
    servers_over,
    sums,
    undisturbed,
    unfinished,
)
from mm.interrupts import interrupted_by_signals
from mm.store import (
    Keys,
    Scripts,
    open_client,
    partitions_of,
    read_raw,
    release_expired,
    stored_fields,
    stream_id_order,
)

#: What a restored directory needs that no backup has: `mm up` knows its own directories by them.
LOGS, LOCK = "logs", "lock"


def back_up(system: System, target: Path, server: str | None = None) -> Manifest:
    """Back the system up into the new directory ``target``; its manifest.

    ``server`` is the program that loads the copy; None for the one that wrote the log. Raises
    UsageError for a target that cannot be, what :meth:`System.scripts` raises, and SystemRefused
    when the copy does not load or the audit finds a violation. Then there is no ``target``. Signals
    raise Interrupted.
    """
    if system.redis_url is not None:
        raise UsageError(
            "--redis-url: a backup is made from the log of a managed server, in its data"
            " directory. A server of somebody else is backed up by its own means."
        )
    with interrupted_by_signals(), unfinished(target, empty=False) as place:
        (place / FILES).mkdir(mode=0o700)
        files = DataDir(place / FILES)
        with private_directory() as copy:
            instant_ms, binary = _copy(system, copy, server)
            with _loaded(copy, system.data_dir, binary) as logs:
                archives = _fit_archives(copy, system.data_dir)
                _audit(copy, system.data_dir, "No backup was made.")
                for log in logs:
                    log.copy(files.path / log.place.relative_to(copy.path))
            copy_files(copy.path, files.path, [*files_beside(copy), *archives])
        manifest = Manifest(
            mm_version=__version__,
            instant_ms=instant_ms,
            systems=known_systems(files),
            server=made_by(files),
            cluster=known_shape(files) is not None,
            users=_users(system.data_dir),
            files=sums(files.path),
        )
        (place / MANIFEST).touch(mode=0o600)
        (place / MANIFEST).write_text(manifest.text(), encoding="ascii")
    return manifest


def _copy(system: System, copy: DataDir, server: str | None) -> tuple[int, Path]:
    """Copy the system's directory; the instant in ms, and the program that loads the copy."""
    data_dir = system.data_dir
    try:
        scripts = system.scripts()
    except NotRunning:
        if not logs_of(data_dir):
            raise
        with undisturbed(data_dir):
            instant_ms = copy_stopped(data_dir, copy)
        binary = binary_for(copy)
    else:
        binary = served_binary(scripts) or binary_for(copy)
        scripts.client.close()
        instant_ms = copy_running(system, copy)
    if not known_systems(data_dir):
        raise SystemRefused(f"{data_dir}: no system was ever made there")
    copy_files(data_dir.path, copy.path, [data_dir.system_id_file.relative_to(data_dir.path)])
    return instant_ms, find_binary(server) if server else binary


@contextmanager
def _loaded(copy: DataDir, named: DataDir, binary: Path) -> Iterator[list[LiveLog]]:
    """Let a server load a copy as a start would; its logs as they are then, without a torn end.

    What it writes afterwards is not in them.
    """
    servers = servers_over(named, copy, binary, lambda text: None)
    try:
        servers.start()
    except SystemRefused as error:
        words = next(filter(None, (one.last_words() for one in servers_in(servers))), str(error))
        name = f"{servers_in(servers)[0].name} {servers_in(servers)[0].version}"
        raise SystemRefused(
            f"{named}: {name} cannot load a copy of its log: {words}. Nothing was changed."
        ) from error
    try:
        with ExitStack() as undo:
            logs = [LiveLog(one.path, undo) for one in places_of(copy) if holds_keys(one)]
            for log in logs:
                log.measure()
            yield logs
    finally:
        servers.kill()


def _fit_archives(copy: DataDir, named: DataDir) -> list[Path]:
    """Cut the archives of a copy to what its loaded ledgers have; their files in the copy."""
    found = []
    for prefix in known_systems(copy):
        root = Scripts(open_client(copy.url, tag=prefix), Keys(prefix))
        for scripts in partitions_of(root):
            state = scripts.archive_state()
            if state.archive_id:
                name = Path(state.file).name
                system_id = stored_fields(scripts)["system_id"]
                with ArchiveCopy(copy.path / name, system_id, named.path / name) as archive:
                    archive.cut(*_ends(scripts))
                    archive.settle()
                found.append(Path(name))
        root.client.close()
    return found


def _ends(scripts: Scripts) -> tuple[dict[str, int], dict[str, EntryId]]:
    """The number of committed fills by symbol, and the last entries of the other streams.

    An order that was not processed yet will be: what became of it in the system is not kept.
    """
    raw = read_raw(scripts)
    committed = {
        name: int(version) if (version := one.position.get("position_version", "")).isdigit() else 0
        for name, one in raw.symbols.items()
    }
    ends = {name: stream_id_order(one.last_id) for name, one in raw.streams.items()}
    ends["orders"] = min(ends["orders"], stream_id_order(raw.cursors.get("exchange", "0-0")))
    return committed, ends


def _audit(copy: DataDir, named: DataDir, therefore: str) -> None:
    """Audit every system of a copy that a server has loaded; SystemRefused on a violation."""
    for prefix in known_systems(copy):
        scripts = Scripts(open_client(copy.url, tag=prefix), Keys(prefix))
        scripts.archives, scripts.archives_shown = copy.path.absolute(), named.path.absolute()
        check_directory(copy, scripts)
        # What a start does first, too: nobody was there to end what has expired meanwhile.
        release_expired(scripts)
        broken = [check for check in audit(scripts).checks if check.violations]
        scripts.client.close()
        if broken:
            raise SystemRefused(
                f"{named}: the audit of its copy finds {', '.join(one.name for one in broken)}:"
                f" {broken[0].violations[0]}. {therefore}"
            )


def _users(data_dir: DataDir) -> list[str]:
    """The users of the directory; their secrets stay there."""
    if not data_dir.secrets.is_dir():
        return []
    return sorted(one.name for one in data_dir.secrets.iterdir() if not one.suffix)


def restore(backup: Path, data_dir: DataDir) -> Manifest:
    """Make the new data directory from a backup; the manifest of the backup.

    Every user gets a new secret, and every node of a cluster a port of its own. Raises UsageError
    when there is no backup or the directory is not new, and SystemRefused naming a file that is not
    as it was, or what the audit finds. Then there is no directory. Signals raise Interrupted.
    """
    data_dir.check_length()
    with interrupted_by_signals(), unfinished(data_dir.path) as place:
        manifest = read_manifest(backup)
        names = check_files(backup, manifest)
        copied = DataDir(place)
        copy_files(backup / FILES, place, names)
        if known_shape(copied) is not None:
            for path in place.glob("nodes/*/port"):
                path.unlink()
            move_ports(DataDir(backup / FILES), copied)
        (place / LOGS).mkdir()
        (place / LOCK).touch()
        make_secrets(copied.secrets, manifest.users)
        with private_directory() as copy:
            copy_stopped(copied, copy)
            copy_files(place, copy.path, [copied.system_id_file.relative_to(place)])
            with _loaded(copy, copied, binary_for(copy)):
                _audit(copy, data_dir, "Nothing was restored.")
    return manifest
