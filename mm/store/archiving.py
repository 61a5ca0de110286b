"""What the keys say of the archive, and the script that removes what it has from the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from redis.exceptions import ResponseError

from mm.errors import ArchiveBroken
from mm.store.calls import hash_of, text
from mm.store.escrow import EscrowScripts
from mm.store.refusals import membership_refusal

#: The first word of a refusal of ``trim.lua`` -> what it means; ``{}`` is what follows the word.
TRIM_REFUSALS = {
    "OTHER_ARCHIVE": "the ledger is archived elsewhere: in the archive {}",
    "OLD_ARCHIVE": "it is older than the ledger: of {0} it must have {1}, and has {2}",
    "OTHER_FILLS": "its {0}-{1} is not the one that was archived",
    "NOT_COMMITTED": "it has fill {0}-{1}, but the position of {0} has {2} fills",
    "NOT_ARCHIVED": "it lacks the fill {}, so nothing is removed from the ledger",
}


@dataclass(frozen=True)
class ArchiveState:
    """What the keys of a partition say of its archive.

    ``archive_id`` and ``file`` are empty text while there is none. Every entry of the ledger up to
    ``trimmed_to`` is in the archive only. ``heads`` are, by symbol, the number of the newest
    archived fill and its link, as text; by stream those of the newest archived entry.
    """

    archive_id: str = ""
    file: str = ""
    trimmed_to: str = "0-0"
    heads: Mapping[str, str] | None = None

    @classmethod
    def of(cls, archive: Mapping[str, str], archived: Mapping[str, str]) -> ArchiveState:
        """Read the two hashes."""
        return cls(
            archive.get("id", ""),
            archive.get("file", ""),
            archive.get("trimmed_to", "0-0"),
            archived,
        )


@dataclass(frozen=True)
class Trimmed:
    """What a trimming step did: up to where the ledger is trimmed, and the fills removed."""

    trimmed_to: str
    removed: int
    more: bool


def archived_fills(heads: Mapping[str, str]) -> int:
    """How many fills are archived, by the heads of the keys; what is no head is not counted."""
    # Few programs need it, and it loads SQLite.
    from mm.archive import STREAMS

    numbers = [head.partition(" ")[0] for name, head in heads.items() if name not in STREAMS]
    return sum(int(number) for number in numbers if number.isdecimal())


class ArchiveScripts(EscrowScripts):
    """The script of the archivist, and what it reads."""

    def archive_state(self) -> ArchiveState:
        """What the keys say of the archive."""
        names = ("archive", "archived")
        return ArchiveState.of(*(hash_of(self.client, self.keys.named(name)) for name in names))

    def trim(
        self,
        system_id: str,
        archive_id: str,
        file: str,
        trim_to: str,
        max_fills: int,
        heads: Mapping[str, str],
    ) -> Trimmed:
        """Record what is archived, and remove archived entries of the ledger up to ``trim_to``.

        ``heads`` are as in :class:`ArchiveState`. ArchiveBroken, and nothing is written, when the
        archive is another one, is older than the ledger, or lacks a fill that would be removed.
        ForeignSystem when the keys do not hold the system of this id.
        """
        words = [word for symbol, head in heads.items() for word in (symbol, *head.split(" "))]
        try:
            reply = self.call("trim", system_id, archive_id, file, trim_to, max_fills, *words)
        except ResponseError as error:
            code, _, detail = str(error).partition(" ")
            if code not in TRIM_REFUSALS:
                raise membership_refusal(self.keys, system_id, error) from error
            words_of = TRIM_REFUSALS[code].format(*detail.split(" "))
            raise ArchiveBroken(f"the archive {file}: {words_of}") from error
        trimmed_to, removed, more = reply
        return Trimmed(text(trimmed_to), int(removed), more == 1)
