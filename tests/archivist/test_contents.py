"""What the archive has: of a damaged ledger, of the other streams, and of positions."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mm.archive import Archive
from mm.archivist import Archivist
from mm.audit import audit
from mm.errors import ArchiveBroken
from mm.store import StreamReader, execute
from tests.kit import Fake, World, small_config
from tests.kit.archivist import END, archived, assert_whole, kept, run, trade, trouble
from tests.kit.breaks import edit_archive, set_field


class TestLedger:
    @pytest.mark.parametrize(
        "record",
        [
            *[("x", "y"), ("AAA-7", "not a fill"), ("AAA-x", "buy 1 101 c o AAA-1 1 2")],
            *[("", ""), ("AAA-7", "buy 1 101 c o AAA-1 x 2"), ("a-1", "buy 1 101 c o AAA-1 1 2")],
            ("AAA-7", "buy 0 101 c o AAA-1 1 2"),
        ],
    )
    def test_a_damaged_record(
        self, traded: World, running: Archivist, record: tuple[str, str]
    ) -> None:
        """It and all behind it stay in the ledger, and the entry is named."""
        execute(traded.client, "XADD", traded.keys.named("fills"), "*", *record)
        before = kept(traded)
        for _ in range(3):
            running.step()
        assert kept(traded)[-1:] == before[-1:] == [record[0]]
        assert "cannot be archived" in trouble(running) or "AAA-7" not in archived(
            running.directory
        )

    def test_bytes_that_are_no_text(self, traded: World, running: Archivist) -> None:
        """They are no fill."""
        execute(traded.client, "XADD", traded.keys.named("fills"), "*", b"\xff", b"\xfe")  # type: ignore[arg-type]  # bytes are words too
        running.step()
        assert "is no fill" in trouble(running)

    def test_uncommitted_fills_wait(self, traded: World, tmp_path: Path) -> None:
        """What the state service has not passed stays, whatever keep_fills says."""
        traded.configure(keep_fills=1)
        trade(traded, 1, commit=False)
        archivist = traded.archivist(tmp_path)
        run(archivist)
        assert len(archived(tmp_path)) == 12
        traded.drain()
        run(archivist)
        assert len(archived(tmp_path)) == 14
        assert_whole(traded, traded.fills())

    def test_fills_of_a_halted_symbol_wait(self, traded: World, tmp_path: Path) -> None:
        """Its position does not have them although the cursor has passed them."""
        trade(traded, 1, commit=False)
        set_field(traded, "position:*", "AAA", "halted", "a test")
        traded.drain()
        archivist = traded.archivist(tmp_path)
        run(archivist)
        assert archived(tmp_path)[-1] in ("AAA-6", "BBB-6")
        assert len(archived(tmp_path)) == 12
        assert "AAA is halted" in archivist.beat_fields()["trouble"]
        traded.client.hdel(traded.keys.member("position:*", "AAA"), "halted")
        assert kept(traded)[-2:] == ["AAA-7", "BBB-7"]

    @pytest.mark.parametrize("name", ["archived", "position:*"])
    def test_rubbish_in_the_keys(
        self, traded: World, running: Archivist, tmp_path: Path, name: str
    ) -> None:
        """It is named or waited for, and nothing is trimmed."""
        running.close()
        if name == "archived":
            set_field(traded, name, None, "AAA", "x")
        else:
            set_field(traded, name, "AAA", "position_version", "x")
        before = kept(traded)
        archivist = traded.archivist(tmp_path)
        archivist.step()
        assert kept(traded) == before
        if name == "archived":
            assert "{mm}:archived: 'x' is no head of a chain" in trouble(archivist)


class TestStreams:
    def test_what_is_recorded(self, traded: World, tmp_path: Path) -> None:
        """The newest entry of each stream with its link, again after each round."""
        archivist = traded.archivist(tmp_path)
        for _ in range(3):
            run(archivist)
            with Archive(tmp_path / "archive.db") as archive:
                for stream in ("orders", "quotes"):
                    assert traded.hash("archived")[stream] == archive.head(stream).text
            trade(traded, 1)
        before = traded.hash("archived")["quotes"]
        traded.propose("AAA")
        run(archivist)
        assert traded.hash("archived")["quotes"] != before

    @pytest.mark.parametrize(
        ("stream", "query"),
        [
            ("orders", "UPDATE entries SET flat = replace(flat, 'sell 1', 'sell 9')"),
            ("orders", "UPDATE entries SET outcomes = replace(outcomes, ' filled ', ' canceled ')"),
            ("orders", "DELETE FROM entries"),
            ("quotes", "DELETE FROM entries"),
        ],
    )
    def test_a_reader_names_what_is_wrong(
        self, traded: World, tmp_path: Path, stream: str, query: str
    ) -> None:
        """In both directions, although the stream still has all of it as it was."""
        traded.archive(tmp_path)
        edit_archive(traded, f"{query} WHERE stream = ? AND number = 1", stream)
        reader, last = StreamReader(traded.scripts), f"{2**62}-0"
        with pytest.raises(ArchiveBroken, match=f"archive.db: the archive is damaged: .* {stream}"):
            list(reader.whole(stream, last))
        traded.client.delete(traded.keys.named(stream))
        with pytest.raises(ArchiveBroken, match=f"archive.db: the archive is damaged: .* {stream}"):
            list(reader.whole_back(stream, last))


class TestRetention:
    def test_age(self, traded: World, fake: Fake, tmp_path: Path) -> None:
        """Orders and quote events go after archive_days, fills stay for ever."""
        traded.configure(archive_days=2)
        archivist = traded.archivist(tmp_path)
        run(archivist)
        with Archive(tmp_path / "archive.db") as archive:
            count = len(list(archive.entries("orders", (0, 0), END)))
            assert count == 12
        fake.advance(2 * 86_400_000 + 1)
        traded.archive(tmp_path)
        with Archive(tmp_path / "archive.db") as archive:
            for stream in ("orders", "quotes", "operations"):
                assert list(archive.entries(stream, (0, 0), END)) == []
                assert (archive.begin(stream) or (0, 0)) > (0, 0)
            assert archive.size == 12

    def test_without_bounds(self, traded: World, fake: Fake, tmp_path: Path) -> None:
        """0 is no bound."""
        traded.configure(archive_days=0, archive_mb=0)
        traded.archive(tmp_path)
        fake.advance(10_000 * 86_400_000)
        traded.archive(tmp_path)
        with Archive(tmp_path / "archive.db") as archive:
            assert len(list(archive.entries("orders", (0, 0), END))) == 12

    def test_size(self, traded: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Beyond archive_mb the oldest orders and quote events go."""
        monkeypatch.setattr("mm.archivist.MEGABYTE", 1_000)
        traded.configure(archive_mb=2)
        traded.archive(tmp_path)
        with Archive(tmp_path / "archive.db") as archive:
            sizes = dict(archive._rows("SELECT stream, bytes FROM streams"))
        assert sizes["orders"] + sizes["quotes"] <= 2_000
        assert_whole(traded, traded.fills())


class TestMarks:
    @pytest.fixture
    def marked(self, fake: Fake, tmp_path: Path) -> World:
        """A mark in the midst of a partly filled quote, fills before and after it."""
        world = World(fake, small_config(1, limit=100, keep_fills=2))
        trade(world, 110)
        world.trade(world.order("buy", 2))
        world.drain()
        world.archive(tmp_path)
        fake.advance(1_000)
        world.trade(world.order("buy", 3))
        world.trade(world.order("sell", 1))
        world.drain()
        world.propose(trigger="position")
        trade(world, 5)
        world.archive(tmp_path)
        return world

    def since(self, world: World) -> int:
        """An instant after the first mark and before the second."""
        return world.now_ms() - 500

    def broken(self, world: World, since_ms: int | None = None) -> set[str]:
        """The invariants that the audit finds broken."""
        return {one.name for one in audit(world.scripts, since_ms=since_ms).checks if not one.ok}

    def test_it_begins_at_the_mark(self, marked: World) -> None:
        """Only later fills are read, and the quote that was half filled is judged right."""
        assert self.broken(marked) == self.broken(marked, self.since(marked)) == set()
        whole, part = (
            {one.name: one.checked for one in audit(marked.scripts, since_ms=since).checks}
            for since in (None, self.since(marked))
        )
        assert whole["ledger-dense"]["fills"] == len(marked.fills())
        assert part["ledger-dense"]["fills"] == len(marked.fills()) - 111
        before = audit(marked.scripts, since_ms=self.since(marked) - 3_600_000)
        assert {one.name: one.checked for one in before.checks}["ledger-dense"]["fills"] == len(
            marked.fills()
        )

    def test_a_violation_after_the_mark(self, marked: World) -> None:
        """Both audits find it."""
        set_field(marked, "position:*", "AAA", "cash_ticks", 7)
        assert self.broken(marked) == self.broken(marked, self.since(marked)) == {"position-exact"}

    def test_a_violation_before_the_mark(self, marked: World) -> None:
        """Only the whole audit reads so far back."""
        with closing(sqlite3.connect(marked.hash("archive")["file"])) as db:
            line = db.execute("SELECT line FROM fills WHERE place = 2").fetchone()[0]
        words = line.split(" ")
        words[6] = str(int(words[6]) - 1)
        edit_archive(marked, "UPDATE fills SET line = ? WHERE place = 2", " ".join(words))
        assert self.broken(marked, self.since(marked)) == set()
        assert self.broken(marked) == {"archive-whole"}

    def test_an_altered_entry(self, marked: World) -> None:
        """An audit since a later instant does not read it, and says so."""
        edit_archive(
            marked, "UPDATE entries SET flat = '[]' WHERE stream = 'quotes' AND number = 1"
        )
        assert self.broken(marked) == {"archive-whole"}
        assert self.broken(marked, self.since(marked)) == set()
        checks = audit(marked.scripts, since_ms=self.since(marked)).checks
        (whole,) = [one for one in checks if one.name == "archive-whole"]
        assert any(note.startswith("archived entries before ") for note in whole.notes)
        edit_archive(
            marked,
            "UPDATE entries SET flat = '[]' WHERE number ="
            " (SELECT max(number) - 1 FROM entries WHERE stream = 'quotes')",
        )
        assert self.broken(marked, self.since(marked)) == {"archive-whole"}

    def test_damage_at_the_mark(self, marked: World) -> None:
        """A symbol that cannot begin there is read whole, which names the damage alone."""
        (path,) = [Path(marked.hash("archive")["file"])]
        with Archive(path) as archive:
            number = archive.marks()["AAA"][0][0]
        edit_archive(marked, "UPDATE fills SET line = line || '0' WHERE number = ?", number)
        assert self.broken(marked, self.since(marked)) == {"archive-whole"}

    def test_an_altered_mark(self, marked: World) -> None:
        """The whole audit compares marks with the fills; the other one starts from it and errs."""
        (path,) = [Path(marked.hash("archive")["file"])]
        with Archive(path) as archive:
            number, _, position = archive.marks()["AAA"][0]
        changed = json.dumps(json.loads(position) | {"net_lots": "99"})
        edit_archive(marked, "UPDATE marks SET position = ? WHERE number = ?", changed, number)
        assert self.broken(marked) == {"archive-whole"}
        assert {"archive-whole", "position-exact"} <= self.broken(marked, self.since(marked))
