"""The file of an archive: what is added once, read back whole, and named when it is not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mm.archive import Archive, ArchivedFill, ArchiveWriter, EntryId, Event, Head, Mark, link
from mm.errors import ArchiveBroken

SYSTEM = "5151515151515151"
END = (2**62, 0)


def fill(ms: int, symbol: str, number: int, seq: int = 0) -> ArchivedFill:
    """A fill; the archive reads no line."""
    return ArchivedFill((ms, seq), symbol, number, f"line {symbol} {number}")


#: Two symbols; the second entry holds three fills.
FILLS = [
    fill(1, "AAA", 1),
    *(fill(2, "BBB", 1), fill(2, "AAA", 2), fill(2, "AAA", 3)),
    fill(3, "BBB", 2),
    fill(3, "AAA", 4, 1),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the archive is to be."""
    return tmp_path / "archive.db"


@pytest.fixture
def writer(path: Path) -> Iterator[ArchiveWriter]:
    """A new archive."""
    with ArchiveWriter(path, SYSTEM, may_create=True) as made:
        yield made


def add(writer: ArchiveWriter, *fills: ArchivedFill) -> dict[str, Head]:
    """Add fills alone."""
    return writer.add(fills, [], {})


def events(stream: str, *ids: EntryId) -> list[Event]:
    """Entries of a stream, of about 100 bytes each."""
    return [Event(stream, one, [b"name", b"x" * 80]) for one in ids]


def spoil(path: Path, query: str, *values: object) -> None:
    """A foreign hand changes the file."""
    with closing(sqlite3.connect(path)) as db, db:
        assert db.execute(query, values).rowcount > 0


class TestFills:
    def test_read_back(self, writer: ArchiveWriter, path: Path) -> None:
        """In order, from one entry to another, of all symbols or of one, by another reader too."""
        heads = add(writer, *FILLS)
        assert {name: head.number for name, head in heads.items()} == {"AAA": 4, "BBB": 2}
        with Archive(path) as reader:
            assert list(reader.fills((0, 0), END)) == FILLS
            assert list(reader.fills((1, 0), (2, 0))) == FILLS[1:4]
            assert list(reader.fills((2, 0), (3, 0))) == FILLS[4:5]
            assert list(reader.fills((3, 1), END)) == []
            assert list(reader.fills_of("AAA", 2, 3)) == FILLS[2:4]
            assert list(reader.fills_of("CCC", 1, 9)) == []
            assert (reader.size, reader.last_id) == (6, (3, 1))
            assert reader.symbols() == ["AAA", "BBB"]
            assert reader.head("AAA") == heads["AAA"]
            assert reader.head("BBB", 1) == Head(1, link(b"", "BBB", 1, 2, 0, "line BBB 1"))
            assert reader.head("BBB", 3) == Head()
            assert (reader.archive_id, reader.system_id) == (writer.archive_id, SYSTEM)

    def test_page_by_page(self, writer: ArchiveWriter, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where one page ends and the next begins makes no difference."""
        add(writer, *FILLS)
        for page in (1, 2, 3, 6):
            monkeypatch.setattr(Archive, "page", page)
            assert list(writer.fills((0, 0), END)) == FILLS
            assert list(writer.fills_of("AAA", 1, 4)) == [one for one in FILLS if one[1] == "AAA"]

    def test_again(self, writer: ArchiveWriter) -> None:
        """What is there already is not added again; what is new behind it is."""
        add(writer, *FILLS[:4])
        heads = add(writer, *FILLS)
        assert {name: head.number for name, head in heads.items()} == {"AAA": 4, "BBB": 2}
        assert add(writer, *FILLS) == {}
        assert list(writer.fills((0, 0), END)) == FILLS

    @pytest.mark.parametrize(
        ("other", "said"),
        [
            (fill(4, "AAA", 6), "AAA-6 cannot be archived: the archive of AAA ends with AAA-4"),
            (fill(4, "CCC", 2), "CCC-2 cannot be archived: the archive of CCC ends with CCC-0"),
            (fill(4, "AAA", 4), "AAA-4 is another one in the archive than in the ledger"),
            (ArchivedFill((3, 1), "AAA", 4, "x"), "AAA-4 is another one in the archive"),
        ],
    )
    def test_a_fill_that_does_not_go_on(
        self, writer: ArchiveWriter, path: Path, other: ArchivedFill, said: str
    ) -> None:
        """Nothing of the call is added, and the file and the fill are named."""
        add(writer, *FILLS)
        with pytest.raises(ArchiveBroken, match=said) as caught:
            writer.add([fill(4, "BBB", 3), other], events("quotes", (4, 0)), {})
        assert str(path) in str(caught.value)
        assert list(writer.fills((0, 0), END)) == FILLS
        assert writer.end("quotes") is None
        assert list(writer.entries("quotes", (0, 0), END)) == []

    @pytest.mark.parametrize(
        ("keep", "before"),
        [(1, (3, 0)), (2, (2, 0)), (3, (1, 0)), (5, (1, 0)), (6, None), (7, None)],
    )
    def test_before_the_newest(
        self, writer: ArchiveWriter, keep: int, before: EntryId | None
    ) -> None:
        """The last entry of which no fill is among so many newest ones."""
        assert writer.before_newest(keep) is None
        add(writer, *FILLS)
        assert writer.before_newest(keep) == before

    def test_the_fill_of_an_order(self, writer: ArchiveWriter) -> None:
        """Its last fill is found by client and order, not by a part of the two."""
        lines = ["buy 1 9 c1 o1 AAA-1 5 2", "buy 1 9 c1 o11 AAA-1 5 2", "buy 1 9 c1 o1 AAA-1 5 2"]
        rows = [ArchivedFill((5, n), "AAA", n, line) for n, line in enumerate(lines, 1)]
        add(writer, *rows)
        assert writer.fill_of_order("c1", "o1") == "AAA-3"
        assert writer.fill_of_order("c1", "o11") == "AAA-2"
        assert writer.fill_of_order("c", "o1") is None


class TestDamage:
    @pytest.mark.parametrize(
        ("query", "said"),
        [
            ("UPDATE fills SET line = 'x' WHERE place = 3", "fill AAA-2 or one before it"),
            ("UPDATE fills SET link = zeroblob(16) WHERE place = 3", "fill AAA-2 or one before it"),
            ("UPDATE fills SET ms = 1 WHERE place = 3", "fill AAA-2 or one before it"),
            ("DELETE FROM fills WHERE place = 3", "fill AAA-3 stands where AAA-2 must be"),
            ("DELETE FROM fills WHERE place = 1", "fill AAA-2 stands where AAA-1 must be"),
        ],
    )
    def test_it_is_named(self, writer: ArchiveWriter, path: Path, query: str, said: str) -> None:
        """Reading stops at what is altered or missing, or says it and goes on."""
        add(writer, *FILLS)
        spoil(path, query)
        for read in (writer.fills((0, 0), END), writer.fills_of("AAA", 1, 4)):
            with pytest.raises(ArchiveBroken, match=said) as caught:
                list(read)
            assert str(path) in str(caught.value)
        found: list[tuple[str, str]] = []
        rest = len(list(writer.fills((0, 0), END, lambda *words: found.append(words))))
        assert rest == writer._rows("SELECT count(*) FROM fills")[0][0]
        assert found[0][0] == "AAA"
        assert said in found[0][1]

    def test_a_missing_file(self, path: Path) -> None:
        """Reading makes none, nor does an archivist that must find one."""
        with pytest.raises(ArchiveBroken, match="the archive is missing"):
            Archive(path)
        with pytest.raises(ArchiveBroken, match="the archive is missing"):
            ArchiveWriter(path, SYSTEM, may_create=False)
        assert not path.exists()

    @pytest.mark.parametrize("content", [b"", b"rubbish" * 1_000, b"SQLite format 3\0" * 100])
    def test_a_file_that_is_none(self, path: Path, content: bytes) -> None:
        """Its content is no archive: it is named, and stays as it is."""
        path.write_bytes(content)
        with pytest.raises(ArchiveBroken, match=str(path)):
            Archive(path)
        with pytest.raises(ArchiveBroken, match=str(path)):
            ArchiveWriter(path, SYSTEM, may_create=False)
        if content:
            assert path.read_bytes() == content

    @pytest.mark.parametrize("part", [0.01, 0.5, 0.95])
    def test_a_truncated_file(self, writer: ArchiveWriter, path: Path, part: float) -> None:
        """A file that was cut short is named when it is opened or read."""
        for start in range(1, 2_000, 100):
            add(writer, *(fill(n, "AAA", n) for n in range(start, start + 100)))
        writer.close()
        with path.open("r+b") as file:
            file.truncate(int(path.stat().st_size * part))
        with pytest.raises(ArchiveBroken) as caught, Archive(path) as reader:
            list(reader.fills((0, 0), END))
        assert str(path) in str(caught.value)

    def test_another_system(self, writer: ArchiveWriter, path: Path) -> None:
        """Its archive is not written to; it can be read."""
        with pytest.raises(ArchiveBroken, match=f"of the system {SYSTEM}, not of {'0' * 16}"):
            ArchiveWriter(path, "0" * 16, may_create=True)
        Archive(path).close()

    def test_another_form(self, writer: ArchiveWriter, path: Path) -> None:
        """A file of a later version is refused."""
        spoil(path, "UPDATE about SET value = '9' WHERE name = 'form'")
        with pytest.raises(ArchiveBroken, match="its form is 9, this version of mm reads 2"):
            Archive(path)

    def test_in_place(self, writer: ArchiveWriter, path: Path) -> None:
        """Whether the open file is that of its name, moved, replaced or gone."""
        away, found = path.with_name("elsewhere"), [writer.in_place]
        path.rename(away)
        found.append(writer.in_place)
        path.write_bytes(away.read_bytes())
        found.append(writer.in_place)
        away.rename(path)
        found.append(writer.in_place)
        assert found == [True, False, False, True]


class TestStreams:
    def test_entries(self, writer: ArchiveWriter) -> None:
        """They are read from one to another, in both directions; again nothing is added."""
        ids = [(1, 0), (1, 1), (2, 0)]
        for _ in range(2):
            writer.add([], events("quotes", *ids), {})
        found = [entry_id for entry_id, _ in writer.entries("quotes", (0, 0), END)]
        assert found == ids
        assert [one for one, _ in writer.entries("quotes", (1, 0), (1, 1))] == [(1, 1)]
        assert [one for one, _ in writer.entries_back("quotes", (2, 0))] == [(1, 1), (1, 0)]
        assert (writer.begin("quotes"), writer.end("quotes")) == ((0, 0), (2, 0))
        assert writer.begin("orders") is None

    def test_bytes_stay_bytes(self, writer: ArchiveWriter) -> None:
        """Whatever a foreign hand has put into a stream is kept as it is."""
        flat = [bytes(range(256)), b"\xff\x00"]
        outcomes = [(b"c1/o1", b"v"), (b"c1/o2", None)]
        writer.add([], [Event("orders", (1, 0), flat, outcomes)], {})
        assert list(writer.entries("orders", (0, 0), END)) == [((1, 0), flat)]
        assert writer.outcomes((1, 0)) == {("c1", "o1"): "v"}
        assert writer.outcomes((2, 0)) == {}

    @pytest.mark.parametrize("text", ["rubbish", "[1, 2]", '["c1/o1", "w"]'])
    def test_altered_outcomes(self, writer: ArchiveWriter, path: Path, text: str) -> None:
        """What is not what was archived is named."""
        outcomes = [(b"c1/o1", b"v")]
        writer.add([], [Event("orders", (1, 0), [b"a", b"b"], outcomes)], {})
        spoil(path, "UPDATE entries SET outcomes = ?", text)
        with pytest.raises(ArchiveBroken, match="entry 1-0 of orders or one before it"):
            writer.outcomes((1, 0))

    def test_a_gap(self, writer: ArchiveWriter) -> None:
        """What was lost before it could be archived moves the beginning, never back."""
        writer.add([], events("quotes", (1, 0)), {})
        writer.add([], events("quotes", (9, 0)), {"quotes": (5, 0)})
        assert (writer.begin("quotes"), writer.end("quotes")) == ((5, 0), (9, 0))
        writer.add([], [], {"quotes": (2, 0)})
        assert (writer.begin("quotes"), writer.end("quotes")) == ((5, 0), (9, 0))

    def test_retention_by_age(self, writer: ArchiveWriter) -> None:
        """Entries before an instant go, fills never; the beginning says so."""
        add(writer, *FILLS)
        for stream in ("orders", "quotes", "operations"):
            writer.add([], events(stream, (1, 0), (2, 0), (3, 0)), {})
        assert writer.retain(3, None) == 6
        assert writer.retain(3, None) == 0
        for stream in ("orders", "quotes", "operations"):
            assert [one for one, _ in writer.entries(stream, (0, 0), END)] == [(3, 0)]
            assert writer.begin(stream) == (2, 0)
        assert list(writer.fills((0, 0), END)) == FILLS

    def test_retention_by_size(
        self, writer: ArchiveWriter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The oldest entries of the larger stream go while both have more; operations stay."""
        monkeypatch.setattr("mm.archive.writer.REMOVED", 2)
        for stream, count in (("orders", 6), ("quotes", 3), ("operations", 9)):
            ids = [(n, 0) for n in range(1, count + 1)]
            writer.add([], events(stream, *ids), {})
        size = writer._rows("SELECT bytes FROM streams WHERE stream = 'quotes'")[0][0] // 3
        assert writer.retain(0, 9 * size) == 0
        assert writer.retain(0, 9 * size - 1) == 2
        assert writer.begin("orders") == (2, 0)
        while writer.retain(0, 3 * size):
            pass
        counts = {
            stream: len(list(writer.entries(stream, (0, 0), END)))
            for stream in ("orders", "quotes", "operations")
        }
        assert counts["orders"] + counts["quotes"] <= 3
        assert counts["operations"] == 9

    def test_marks(self, writer: ArchiveWriter) -> None:
        """They are read by symbol, up to an instant; the first one of a fill stays."""
        add(writer, *FILLS)
        assert writer.newest_mark_ms == 0
        writer.add_marks([Mark("AAA", 2, 50, {"net_lots": "1"}), Mark("BBB", 1, 50, {})])
        writer.add_marks([Mark("AAA", 4, 90, {}), Mark("AAA", 2, 95, {"net_lots": "7"})])
        assert writer.marks(89) == {
            "AAA": [(2, 50, '{"net_lots": "1"}')],
            "BBB": [(1, 50, "{}")],
        }
        assert [number for number, _, _ in writer.marks()["AAA"]] == [2, 4]
        assert writer.newest_mark_ms == 90
