"""The chains of the streams beside the ledger: what is altered or missing is named by each read."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mm.archive import Archive, ArchiveWriter, EntryId, Event, Head
from mm.errors import ArchiveBroken

END = (2**62, 0)
#: Ten entries, two a millisecond.
IDS = [(ms, seq) for ms in range(1, 6) for seq in (0, 1)]


def order(entry_id: EntryId) -> Event:
    """An order that was filled."""
    name = f"o{entry_id}".encode()
    return Event("orders", entry_id, [name, b"c1 AAA buy 3 101"], [(b"c1/" + name, b"filled")])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the archive is."""
    return tmp_path / "archive.db"


@pytest.fixture
def writer(path: Path) -> Iterator[ArchiveWriter]:
    """An archive with ten orders, and as many quote events."""
    with ArchiveWriter(path, "0" * 16, may_create=True) as made:
        made.add([], [*map(order, IDS), *(Event("quotes", one, [b"k"]) for one in IDS)], {})
        yield made


def spoil(path: Path, query: str) -> None:
    """A foreign hand changes the file."""
    with closing(sqlite3.connect(path)) as db, db:
        assert db.execute(query).rowcount > 0


def refused(_: str, words: str) -> None:
    """Nothing is to be said."""
    pytest.fail(words)


def ids(found: Iterator[tuple[EntryId, list[bytes]]]) -> list[EntryId]:
    """The ids of entries that are read."""
    return [entry_id for entry_id, _ in found]


#: What a hand does to the orders, and what is said of it.
WHERE = "WHERE stream = 'orders' AND"
DAMAGE = [
    (f"UPDATE entries SET flat = replace(flat, 'buy', 'sell') {WHERE} number = 5", "3-0"),
    (f"UPDATE entries SET outcomes = replace(outcomes, 'filled', 'x') {WHERE} number = 5", "3-0"),
    (f"UPDATE entries SET link = zeroblob(16) {WHERE} number = 5", "3-[01]"),
    (f"UPDATE entries SET link = 'x' {WHERE} number = 5", "an entry of orders was altered"),
    (f"UPDATE entries SET number = 'x' {WHERE} number = 5", "an entry of orders was altered"),
    (f"UPDATE entries SET seq = 2 {WHERE} number = 6", "3-2"),
    (f"DELETE FROM entries {WHERE} number = 5", "the entry 3-1 of orders is its number 6: 5 is"),
    (f"DELETE FROM entries {WHERE} number < 5", "the entry 3-0 of orders is its number 5: 1 is"),
    ("UPDATE streams SET number = 1 WHERE stream = 'orders'", "the entry 1-0 of orders is its"),
    ("UPDATE streams SET link = x'01' WHERE stream = 'orders'", "the entry 1-0 of orders or one"),
    ("UPDATE streams SET link = 'x' WHERE stream = 'orders'", "the beginning of orders"),
    (
        "INSERT INTO entries VALUES ('orders', 2, 9, 5, '[]', '[]', x'')",
        "entry (2-9|3-0) of orders",
    ),
]


@pytest.mark.parametrize(("query", "said"), DAMAGE)
@pytest.mark.parametrize("page", [1, 3, 100])
def test_it_is_named(
    writer: ArchiveWriter,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    query: str,
    said: str,
    page: int,
) -> None:
    """By each way to read, with the file; the other streams are read as before."""
    spoil(path, query)
    monkeypatch.setattr(Archive, "page", page)
    with Archive(path) as archive:
        for read in (
            archive.entries("orders", (0, 0), END),
            archive.entries_back("orders", END),
            archive.entries_back("orders", (9, 0)),
        ):
            with pytest.raises(ArchiveBroken, match=said) as caught:
                list(read)
            assert str(path) in str(caught.value)
        assert ids(archive.entries("quotes", (0, 0), END)) == IDS
        assert ids(archive.entries_back("quotes", END)) == IDS[::-1]
        if "was altered" in said or "beginning" in said:
            return
        found: list[tuple[str, str]] = []
        archive.check_entries("orders", (0, 0), lambda *words: found.append(words))
        assert {name for name, _ in found} == {"orders"}
        assert re.search(said, found[0][1])


@pytest.mark.parametrize("page", [1, 2, 3, 10, 11])
def test_from_one_to_another(
    writer: ArchiveWriter, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    """Wherever one begins and ends, and where a page ends, it is as it was added."""
    monkeypatch.setattr(Archive, "page", page)
    for first in range(11):
        after = IDS[first - 1] if first else (0, 0)
        for last in range(first, 10):
            assert ids(writer.entries("orders", after, IDS[last])) == IDS[first : last + 1]
        before = IDS[first] if first < 10 else END
        assert ids(writer.entries_back("orders", before)) == IDS[:first][::-1]
        assert writer.check_entries("orders", after, refused) == 10 - first


def test_one_that_is_missing_at_the_end_of_what_is_read(writer: ArchiveWriter, path: Path) -> None:
    """The next one behind tells."""
    spoil(path, f"DELETE FROM entries {WHERE} number = 5")
    with pytest.raises(ArchiveBroken, match="5 is missing"):
        list(writer.entries("orders", (0, 0), (3, 0)))
    with pytest.raises(ArchiveBroken, match="5 is missing"):
        list(writer.entries_back("orders", (3, 1)))
    assert ids(writer.entries("orders", (0, 0), (2, 0))) == IDS[:3]
    assert ids(writer.entries_back("orders", (2, 1))) == IDS[:3][::-1]


def test_outcomes(writer: ArchiveWriter, path: Path) -> None:
    """They are compared with the link, and with the entry before."""
    assert writer.outcomes((3, 0)) == {("c1", "o(3, 0)"): "filled"}
    spoil(
        path, f"UPDATE entries SET outcomes = replace(outcomes, 'filled', 'x') {WHERE} number = 5"
    )
    with pytest.raises(ArchiveBroken, match="3-0 of orders or one before it"):
        writer.outcomes((3, 0))
    spoil(path, f"DELETE FROM entries {WHERE} number = 1")
    with pytest.raises(ArchiveBroken, match="1-1 of orders is its number 2: 1 is missing"):
        writer.outcomes((1, 1))
    assert writer.outcomes((2, 1)) == {("c1", "o(2, 1)"): "filled"}


class TestRetention:
    def test_the_bytes_that_count(self, writer: ArchiveWriter, path: Path) -> None:
        """They are about those of the file, whatever the entries have."""
        for start, length in ((100, 20), (5_000, 300)):
            many = [Event("quotes", (start + n, 0), [b"x" * length]) for n in range(4_000)]
            writer.add([], many, {})
        writer.close()
        with closing(sqlite3.connect(path)) as db:
            ((counted,),) = db.execute("SELECT sum(bytes) FROM streams")
        assert 0.8 < path.stat().st_size / counted < 1.2

    def test_the_chain_goes_on(self, writer: ArchiveWriter) -> None:
        """From the last removed entry, also when nothing is left; the newest is known."""
        head = writer.head("orders")
        assert head.number == 10
        writer.retain(3, None)
        assert ids(writer.entries("orders", (0, 0), END)) == IDS[4:]
        assert ids(writer.entries_back("orders", END)) == IDS[4:][::-1]
        assert writer.has("orders", head)
        writer.retain(9, None)
        assert ids(writer.entries("orders", (0, 0), END)) == []
        assert ids(writer.entries_back("orders", END)) == []
        assert (writer.head("orders"), writer.end("orders")) == (head, (5, 1))
        assert writer.add([], [order((6, 0))], {})["orders"].number == 11
        assert ids(writer.entries("orders", (0, 0), END)) == [(6, 0)]
        assert writer.check_entries("orders", (0, 0), refused) == 1

    @pytest.mark.parametrize("passed", [1, 2, 3, 4, 5])
    @pytest.mark.parametrize("oldest", [2, 4, 9])
    def test_while_it_is_read(
        self,
        writer: ArchiveWriter,
        path: Path,
        monkeypatch: pytest.MonkeyPatch,
        passed: int,
        oldest: int,
    ) -> None:
        """What is removed after the reading began is passed over, and is no damage."""
        monkeypatch.setattr(Archive, "page", 2)
        with Archive(path) as archive:
            forth, back = (
                archive.entries("orders", (0, 0), END),
                archive.entries_back("orders", END),
            )
            seen = [[next(read)[0] for _ in range(passed)] for read in (forth, back)]
            writer.retain(oldest, None)
            left = [one for one in IDS if one[0] >= oldest]
            assert set(left) <= {*seen[0], *ids(forth)} <= set(IDS)
            assert set(left) <= {*seen[1], *ids(back)} <= set(IDS)

    def test_a_gap_stays_one(self, writer: ArchiveWriter) -> None:
        """Removing what is before a gap does not bring back where all of the stream begins."""
        writer.add([], [order((9, 0))], {"orders": (8, 0)})
        writer.retain(3, None)
        assert writer.begin("orders") == (8, 0)
        assert ids(writer.entries("orders", (0, 0), END)) == [*IDS[4:], (9, 0)]


def test_an_entry_that_is_there(writer: ArchiveWriter) -> None:
    """Again with outcomes that were forgotten meanwhile it is the same; with other words it is not.

    One that lies in a gap of the archive comes too late.
    """
    head, (plain, *_) = writer.head("orders"), map(order, IDS)
    assert writer.add([], [plain._replace(outcomes=[]), plain], {}) == {}
    assert writer.add([], [order((3, 5))], {}) == {}
    assert writer.outcomes(IDS[0]) == {("c1", "o(1, 0)"): "filled"}
    with pytest.raises(ArchiveBroken, match="1-0 of orders is another one in the archive"):
        writer.add([], [plain._replace(flat=[b"x", b"y"]), order((6, 0))], {})
    assert writer.head("orders") == head
    assert ids(writer.entries("orders", (0, 0), END)) == IDS


def test_what_it_has(writer: ArchiveWriter, path: Path) -> None:
    """The newest entry or an earlier one, as it was; what was removed cannot be compared."""
    head = writer.head("orders")
    fifth = writer.entry_head("orders", 5)
    assert [fifth.number, writer.entry_head("orders", 0)] == [5, Head()]
    assert writer.has("orders", fifth) and writer.has("orders", head)
    assert not writer.has("orders", Head(5, head.link))
    assert not writer.has("orders", Head(11, head.link))
    assert not writer.has("operations", Head(1, head.link))
    writer.retain(3, None)
    assert writer.has("orders", Head(3, b"x"))
    assert writer.has("orders", writer.entry_head("orders", 4))
    assert not writer.has("orders", Head(4, b"x"))
    spoil(path, f"DELETE FROM entries {WHERE} number = 10")
    assert not writer.has("orders", head)
