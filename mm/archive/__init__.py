"""The archive: what the streams of one partition no longer keep, in one SQLite file.

It has every committed fill up to its head, for ever, and what came on the streams of orders, quote
events and operations, as long as the configuration says. It knows nothing of Redis.
"""

from mm.archive.chain import Head, link
from mm.archive.copies import ArchiveCopy, copy_archive
from mm.archive.entries import STREAMS
from mm.archive.file import Archive, ArchivedFill
from mm.archive.opened import Broken, EntryId, archive_name, entry_id_of, id_text
from mm.archive.writer import ArchiveWriter, Event, Mark

__all__ = [
    "STREAMS",
    "Archive",
    "ArchiveCopy",
    "ArchiveWriter",
    "ArchivedFill",
    "Broken",
    "EntryId",
    "Event",
    "Head",
    "Mark",
    "archive_name",
    "copy_archive",
    "entry_id_of",
    "id_text",
    "link",
]
