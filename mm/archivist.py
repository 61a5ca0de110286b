"""The archivist: moves committed fills from the ledger's stream into the archive on disk.

It copies orders, quote events and operations there too.

Each round reads what is new, puts it into the archive in one commit that is on disk before anything
else happens, and only then lets ``trim.lua`` remove what the archive has. Where it goes on follows
from the archive and the keys. So it may be killed at any instant, and a second one does no harm.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from mm.archive import (
    STREAMS,
    ArchiveWriter,
    EntryId,
    Head,
    Mark,
    archive_name,
    id_text,
)
from mm.backoff import Backoff
from mm.errors import ArchiveBroken, Unavailable, shown_path
from mm.process import Process
from mm.store import (
    Scripts,
    hash_of,
    history_of,
    is_replicated,
    server_ms,
    stored_fields,
    stream_id_order,
)
from mm.unarchived import Unarchived

#: Fills that one step removes from the ledger.
REMOVED = 5_000
#: From one mark of a symbol's position to the next: fills of all symbols, and milliseconds.
MARK_FILLS, MARK_MS = 1_000_000, 3_600_000
#: Seconds from one look at what is too old to the next.
RETAIN_S = 10.0
DAY_MS, MEGABYTE = 86_400_000, 1_000_000
#: From one attempt with an archive that was refused to the next, in seconds.
FIRST_REFUSED_S, LONGEST_REFUSED_S = 0.25, 2.0
#: The longest trouble that a heartbeat says.
MAX_TROUBLE = 500
#: The fields of a position that a mark has.
MARKED_FIELDS = (
    *("net_lots", "cash_ticks", "cost_ticks", "position_version", "last_fill_id"),
    *("last_price_ticks", "twice_spread_ticks", "fair_ticks", "fair_rest", "trades"),
)


class Archivist(Process):
    """Archives one partition. ``directory`` is where the archive is, and is made when needed.

    ``count`` counts fills archived. What stops it is said in its heartbeat, and tried again for
    ever: a full disk, an archive that is missing or altered, a record that is no fill.
    """

    kind: ClassVar[str] = "archivist"
    directory: Path = Path()
    _archive: ArchiveWriter | None = None
    _trouble = ""
    # Whether the log says already which archive is written.
    _is_logged = False
    # When a refused archive is tried again.
    _retry_at = 0.0

    def attach(self, scripts: Scripts) -> None:
        """Use these scripts from now on; the archive is opened again."""
        super().attach(scripts)
        self._close()
        self._refused = Backoff(FIRST_REFUSED_S, LONGEST_REFUSED_S)
        self._settings = self.stored_config()
        self._unarchived = Unarchived(scripts, self._settings)
        self._fills_since_mark = MARK_FILLS
        self._marked_ms = 0
        self._pending: dict[str, Mark] = {}
        self._retain_at = 0.0
        self._trimmed_to: EntryId = (0, 0)
        # What the keys say that the archive has, until the two were compared.
        self._recorded: Mapping[str, str] | None = None

    def release_expired(self) -> float | None:
        """Nothing: others do, and an archive that is slow must hold up no quote."""
        return None

    def beat_fields(self) -> dict[str, str]:
        """What a heartbeat says, with the trouble that stops the archiving."""
        trouble = self._trouble or self._unarchived.waits_for
        return super().beat_fields() | {"trouble": trouble[:MAX_TROUBLE] or "-"}

    def close(self) -> None:
        """Drop the connection and close the archive."""
        self._close()
        super().close()

    def _close(self) -> None:
        if self._archive is not None:
            self._archive.close()
            self._archive = None
            self._is_logged = False

    def step(self, wait_ms: int = 0) -> bool:
        """One round; waits ``wait_ms`` when there was nothing to do. Whether there is more.

        A step that may wait does nothing else while a refused archive is not to be tried again yet.
        """
        if wait_ms > 0 and time.monotonic() < self._retry_at:
            time.sleep(wait_ms / 1000)
            return False
        try:
            more = self._round()
            self._log_archive()
        except ArchiveBroken as error:
            self._close()
            if str(error) != self._trouble:
                self.log.error("nothing is archived until this ends: %s", error)
                self.say(f"nothing is archived until this ends: {error}")
            self._trouble, more = str(error), False
            self._retry_at = time.monotonic() + self._refused.failed()
        else:
            if self._trouble:
                self.say("archiving again")
            self._trouble = ""
            self._refused.succeeded()
        if not more and wait_ms > 0:
            time.sleep(wait_ms / 1000)
        return more

    # --- a round

    def _round(self) -> bool:
        archive = self._opened()
        history = history_of(self.scripts.client) if self._settings.replicas else ""
        fills, more = self._unarchived.fills(archive)
        news = self._unarchived.news(archive)
        replicas, heads = self._settings.replicas, dict[str, Head]()
        if fills or news.events:
            # What a failover could undo is not archived yet.
            if replicas and not is_replicated(self.scripts.client, history, replicas):
                raise Unavailable("the replicas do not have what is to be archived")
            heads = archive.add(fills, news.events, news.begins)
        self._mark(archive, len(fills), heads)
        self.count += len(fills)
        self.done["fills"] += len(fills)
        self.done["entries"] += len(news.events)
        trimming = self._trim(archive, heads)
        return self._retain(archive) or trimming or more or news.more

    def _opened(self) -> ArchiveWriter:
        """The archive, opened and compared with what the keys say of it."""
        if self._archive is not None and self._archive.in_place:
            return self._archive
        self._close()
        state, config = self.scripts.archive_state(), stored_fields(self.scripts)
        partition = int(config["partition"]) if "partition" in config else None
        path = self.directory.absolute() / archive_name(
            None if partition is None else int(partition)
        )
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            archive = ArchiveWriter(path, config["system_id"], may_create=not state.archive_id)
        except OSError as error:
            raise ArchiveBroken(f"{shown_path(path)}: the archive: {error.strerror}") from error
        self._archive = archive
        self._trimmed_to = stream_id_order(state.trimmed_to)
        self._marked_ms = archive.newest_mark_ms
        self._recorded = state.heads or {}
        if archive.last_id < self._trimmed_to:
            raise ArchiveBroken(
                f"{shown_path(path)}: the archive is older than the ledger: it ends with the entry"
                f" {id_text(archive.last_id)}, and the ledger begins after {state.trimmed_to}"
            )
        for name, number in self._lacking(archive).items():
            if name in STREAMS and not self._unarchived.can_go_on(name, archive.end(name)):
                raise ArchiveBroken(
                    f"{shown_path(path)}: the archive is older than the ledger: of {name} it must"
                    f" have {number} entries, and has {archive.head(name).number}"
                )
        self._catch_up(archive)
        return archive

    def _log_archive(self) -> None:
        """Log which archive is written, once it is: a file may be refused after it was opened."""
        if self._archive is not None and not self._is_logged:
            self.log.info("archive=%s fills=%d", self._archive.path, self._archive.size)
            self._is_logged = True

    def _catch_up(self, archive: ArchiveWriter) -> bool:
        """Compare the archive with what the keys say that it has; whether it has all of that.

        One that was put back from an earlier time lacks some, and gets it from the ledger first.
        """
        if self._recorded is None:
            return True
        if self._lacking(archive):
            return False
        for name, text in self._recorded.items():
            if not archive.has(name, head := Head.parse(text)):
                raise ArchiveBroken(
                    f"{shown_path(archive.path)}: the archive: its {name}-{head.number} is not the"
                    " one that was archived"
                )
        heads = {name: archive.head(name) for name in (*archive.symbols(), *STREAMS)}
        self._record(archive, {name: head for name, head in heads.items() if head.number}, None)
        self._recorded = None
        return True

    def _lacking(self, archive: ArchiveWriter) -> dict[str, int]:
        """Of which symbols and streams the archive lacks newest ones, and how many it must have."""
        try:
            numbers = {
                name: Head.parse(text).number for name, text in (self._recorded or {}).items()
            }
        except ValueError as error:
            raise ArchiveBroken(f"{self.keys.named('archived')}: {error}") from error
        return {name: most for name, most in numbers.items() if archive.head(name).number < most}

    # --- marks, trimming, retention

    def _mark(self, archive: ArchiveWriter, fills: int, heads: Mapping[str, Head]) -> None:
        """Read a mark of each symbol when it is time; keep those whose fill is archived."""
        self._fills_since_mark += fills
        now_ms = server_ms(self.scripts.client)
        due = self._fills_since_mark >= MARK_FILLS or now_ms - self._marked_ms >= MARK_MS
        if fills and due:
            for symbol in self.stored_config().symbols:
                stored = hash_of(self.scripts.client, self.keys.member("position:*", symbol.name))
                position = {name: stored[name] for name in MARKED_FIELDS if name in stored}
                version = position.get("position_version", "")
                if version.isdecimal() and int(version):
                    self._pending[symbol.name] = Mark(symbol.name, int(version), now_ms, position)
                    self._fills_since_mark, self._marked_ms = 0, now_ms
        archived = [
            mark
            for name, mark in self._pending.items()
            if (heads.get(name) or archive.head(name)).number >= mark.number
        ]
        if archived:
            archive.add_marks(archived)
            for mark in archived:
                del self._pending[mark.symbol]

    def _trim(self, archive: ArchiveWriter, heads: Mapping[str, Head]) -> bool:
        """Record what is archived, and remove what may go; whether more may go."""
        if not archive.in_place:
            raise ArchiveBroken(f"{shown_path(archive.path)}: the archive was moved or replaced")
        if not self._catch_up(archive):
            return False
        trim_to = archive.before_newest(self._settings.keep_fills)
        if not heads and (trim_to is None or trim_to <= self._trimmed_to):
            return False
        return self._record(archive, heads, trim_to)

    def _record(
        self, archive: ArchiveWriter, heads: Mapping[str, Head], trim_to: EntryId | None
    ) -> bool:
        while True:
            try:
                done = self.scripts.trim(
                    archive.system_id,
                    archive.archive_id,
                    str(archive.path),
                    id_text(trim_to) if trim_to else "0-0",
                    REMOVED,
                    {symbol: head.text for symbol, head in heads.items()},
                )
                break
            except ArchiveBroken:
                # Another archivist may have gone further meanwhile, in the same archive.
                newer = {symbol: archive.head(symbol) for symbol in heads}
                if newer == heads:
                    raise
                heads = newer
        self._trimmed_to = stream_id_order(done.trimmed_to)
        self.done["removed"] += done.removed
        return done.more

    def _retain(self, archive: ArchiveWriter) -> bool:
        """Remove the entries that the configuration no longer asks for; whether there are more."""
        if time.monotonic() < self._retain_at:
            return False
        config = self._settings = self.stored_config()
        days = config.archive_days
        oldest_ms = server_ms(self.scripts.client) - days * DAY_MS if days else 0
        removed = archive.retain(oldest_ms, config.archive_mb * MEGABYTE or None)
        if not removed:
            self._retain_at = time.monotonic() + RETAIN_S
        return bool(removed)
