"""trim.lua: only fills that are archived and committed leave the ledger; what is recorded stays."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from redis.exceptions import ResponseError

from mm.errors import ArchiveBroken
from mm.store import execute
from mm.store.archiving import Trimmed
from tests.kit import SYSTEM_ID, MakeWorld, World, assert_only_for_its_system

ARCHIVE, OTHER = "a1" * 8, "b2" * 8
FILE = "/data/archive.db"
LINK, OTHER_LINK = "01" * 16, "02" * 16
#: The last id there can be.
END = f"{2**62}-0"


def trim(
    world: World,
    trim_to: str = "0-0",
    most: int = 1_000,
    heads: Mapping[str, int | str] | None = None,
    archive_id: str = ARCHIVE,
    file: str = FILE,
) -> Trimmed:
    """Run the script; a head that is a number gets ``LINK``."""
    texts = {
        name: f"{head} {LINK}" if isinstance(head, int) else head
        for name, head in (heads or {}).items()
    }
    return world.scripts.trim(SYSTEM_ID, archive_id, file, trim_to, most, texts)


def refused(world: World, words: str, trim_to: str = "0-0", **changes: object) -> None:
    """The call is refused with these words, and changes nothing."""
    before = world.dump()
    with pytest.raises(ArchiveBroken) as caught:
        trim(world, trim_to, **changes)  # type: ignore[arg-type]  # the tests name them rightly
    assert str(caught.value) == f"the archive {FILE}: {words}"
    assert world.dump() == before


def put(world: World, entry_id: str, *fill_ids: str) -> None:
    """Append an entry to the ledger, and commit its fills: the script looks at ids alone."""
    words = [word for one in fill_ids for word in (one, "line")]
    execute(world.client, "XADD", world.keys.named("fills"), entry_id, *words)
    for one in fill_ids:
        symbol, _, number = one.rpartition("-")
        key = world.keys.member("position:*", symbol)
        world.client.hset(key, "position_version", number)


def ledger(world: World) -> list[str]:
    """The ids of the ledger's entries."""
    return [entry_id for entry_id, _ in world.stream("fills")]


@pytest.fixture
def filled(make_world: MakeWorld) -> World:
    """Six fills in four entries, all committed."""
    world = make_world()
    put(world, "9-9", "AAA-1")
    put(world, "9-10", "BBB-1", "AAA-2", "AAA-3")
    put(world, "10-0", "AAA-4")
    put(world, "10-1", "BBB-2")
    return world


HEADS = {"AAA": 4, "BBB": 2}


def test_the_archive_is_recorded(filled: World) -> None:
    """Which archive it is, where, and its newest fill of each symbol; nothing else changes."""
    before = filled.dump()
    done = trim(filled, heads={"AAA": 3, "BBB": 1})
    assert done == Trimmed("0-0", 0, False)
    assert filled.hash("archive") == {"id": ARCHIVE, "file": FILE, "trimmed_to": "0-0"}
    assert filled.hash("archived") == {"AAA": f"3 {LINK}", "BBB": f"1 {LINK}"}
    after = filled.dump()
    for name in ("archive", "archived"):
        del after[filled.keys.named(name)]
    assert after == before


def test_it_goes_on(filled: World) -> None:
    """A head moves on, the others stay; the same ones again change nothing but the place."""
    trim(filled, heads={"AAA": 3, "BBB": 1})
    assert trim(filled, heads={"AAA": f"4 {OTHER_LINK}"}) == Trimmed("0-0", 0, False)
    heads = {"AAA": f"4 {OTHER_LINK}", "BBB": f"1 {LINK}"}
    assert filled.hash("archived") == heads
    before = filled.dump()
    assert trim(filled, heads=heads) == Trimmed("0-0", 0, False)
    assert filled.dump() == before
    trim(filled, file="/moved/archive.db")
    assert filled.hash("archive")["file"] == "/moved/archive.db"


@pytest.mark.parametrize(
    ("trim_to", "removed", "left"),
    [
        ("0-0", 0, ["9-9", "9-10", "10-0", "10-1"]),
        ("9-8", 0, ["9-9", "9-10", "10-0", "10-1"]),
        ("9-9", 1, ["9-10", "10-0", "10-1"]),
        ("9-10", 4, ["10-0", "10-1"]),
        ("9-11", 4, ["10-0", "10-1"]),
        ("10-0", 5, ["10-1"]),
        ("10-1", 5, ["10-1"]),
        (END, 5, ["10-1"]),
    ],
)
def test_whole_entries_go(filled: World, trim_to: str, removed: int, left: list[str]) -> None:
    """Those up to the bound, by number and not by text; the newest always stays."""
    before = filled.stream("fills")
    last = before[len(before) - len(left) - 1][0] if removed else "0-0"
    assert trim(filled, trim_to, heads=HEADS) == Trimmed(last, removed, False)
    assert filled.stream("fills") == before[len(before) - len(left) :]
    assert ledger(filled) == left
    assert filled.hash("archive")["trimmed_to"] == last


def test_again_removes_nothing(filled: World) -> None:
    """After a lost reply the same call finds nothing to do, nor does one with an earlier bound."""
    trim(filled, "9-10", heads=HEADS)
    before = filled.dump()
    for bound in ("9-10", "9-9", "0-0"):
        assert trim(filled, bound, heads=HEADS) == Trimmed("9-10", 0, False)
    assert filled.dump() == before
    assert trim(filled, "10-0") == Trimmed("10-0", 1, False)
    assert filled.hash("archive")["trimmed_to"] == "10-0"


@pytest.mark.parametrize(
    ("most", "first", "second"),
    [
        (1, ("9-9", 1, True), ("9-10", 3, True)),
        (3, ("9-9", 1, True), ("9-10", 3, True)),
        (4, ("9-10", 4, True), ("10-0", 1, False)),
        (5, ("10-0", 5, True), ("10-0", 0, False)),
    ],
)
def test_so_many_at_most(
    filled: World, most: int, first: tuple[str, int, bool], second: tuple[str, int, bool]
) -> None:
    """Whole entries up to a number of fills, but at least one; it says that there may be more."""
    assert trim(filled, END, most, HEADS) == Trimmed(*first)
    assert trim(filled, END, most) == Trimmed(*second)


def test_nothing_more_behind_the_bound(filled: World) -> None:
    """What is behind the bound is no more that could be removed."""
    assert trim(filled, "9-9", 2, HEADS) == Trimmed("9-9", 1, True)
    assert trim(filled, "9-10", 1) == Trimmed("9-10", 3, True)
    assert trim(filled, "9-11", 1) == Trimmed("9-10", 0, False)


def test_other_streams(filled: World) -> None:
    """No position has their entries; what is recorded of one stands for no fill of its name."""
    streams = {"orders": 9, "quotes": 12}
    trim(filled, heads=streams | {"AAA": 4})
    assert filled.hash("archived") == {
        name: f"{number} {LINK}" for name, number in (streams | {"AAA": 4}).items()
    }
    refused(
        filled,
        "it is older than the ledger: of quotes it must have 12, and has 11",
        heads={"quotes": 11},
    )
    refused(
        filled, "its orders-9 is not the one that was archived", heads={"orders": f"9 {OTHER_LINK}"}
    )
    put(filled, "11-0", "orders-3")
    put(filled, "12-0", "AAA-5")
    refused(
        filled,
        "it lacks the fill orders-3, so nothing is removed from the ledger",
        END,
        heads=HEADS,
    )


def test_an_empty_ledger(world: World) -> None:
    """There is nothing to remove."""
    assert trim(world, END) == Trimmed("0-0", 0, False)
    assert world.hash("archived") == {}
    assert not world.client.exists(world.keys.named("fills"))


class TestRefused:
    @pytest.mark.parametrize("number", [3, 0])
    def test_a_fill_that_is_not_archived(self, filled: World, number: int) -> None:
        """By what is recorded and given; nothing is written, the heads of the call neither."""
        heads = {"AAA": number} if number else {}
        trim(filled, heads={"BBB": 1})
        words = f"it lacks the fill AAA-{4 if number else 1}, so nothing is removed from the ledger"
        refused(filled, words, END, heads=heads)
        refused(filled, words, END, heads=heads | {"BBB": 2})
        assert trim(filled, "9-10" if number else "9-8", heads=heads).removed == (
            4 if number else 0
        )

    def test_the_heads_of_earlier_calls_count(self, filled: World) -> None:
        """A head that this call does not give is the one recorded."""
        trim(filled, heads={"AAA": 4})
        refused(filled, "it lacks the fill BBB-1, so nothing is removed from the ledger", END)
        trim(filled, heads={"BBB": 1})
        assert trim(filled, END, heads={"BBB": 2}).removed == 5

    def test_a_head_past_the_symbol(self, filled: World) -> None:
        """A symbol of more than one word in its name is looked up as a whole."""
        put(filled, "11-0", "A-A-1")
        put(filled, "12-0", "AAA-5")
        missing = "it lacks the fill A-A-1, so nothing is removed from the ledger"
        refused(filled, missing, END, heads=HEADS)
        assert trim(filled, END, heads=HEADS | {"A-A": 1}).removed == 7

    @pytest.mark.parametrize("name", ["rubbish", "AAA-", "-4", "AAA-4x", "AAA AAA-1", "AAA-x-"])
    def test_a_record_that_is_no_fill(self, filled: World, name: str) -> None:
        """It stays, and so does all from it on."""
        execute(filled.client, "XADD", filled.keys.named("fills"), "11-0", name, "line")
        put(filled, "12-0", "AAA-5")
        said = " ".join(f"it lacks the fill {name}".split(" ")[:5])
        with pytest.raises(ArchiveBroken, match=said):
            trim(filled, END, heads=HEADS)
        assert trim(filled, "10-1", heads=HEADS).removed == 6

    @pytest.mark.parametrize("symbol", ["AAA", "BBB", "ZZZ"])
    def test_a_fill_that_is_not_committed(self, filled: World, symbol: str) -> None:
        """A head past the position is none; without a position there is no head."""
        version = HEADS.get(symbol, 0)
        words = (
            f"it has fill {symbol}-{version + 1}, but the position of {symbol} has {version} fills"
        )
        refused(filled, words, heads={symbol: version + 1})
        if version:
            trim(filled, heads={symbol: version})

    def test_an_archive_of_fewer_fills(self, filled: World) -> None:
        """An old one is named with what it lacks, whatever the other symbols say."""
        trim(filled, heads=HEADS)
        words = "it is older than the ledger: of AAA it must have 4, and has 3"
        refused(filled, words, END, heads={"BBB": 2, "AAA": 3})

    def test_an_archive_of_other_fills(self, filled: World) -> None:
        """The same number with another link is another fill, or one before it is."""
        trim(filled, heads=HEADS)
        words = "its BBB-2 is not the one that was archived"
        refused(filled, words, heads={"AAA": 4, "BBB": f"2 {OTHER_LINK}"})

    def test_another_archive(self, filled: World) -> None:
        """While one is recorded, no other one is."""
        trim(filled, "9-9", heads=HEADS)
        words = f"the ledger is archived elsewhere: in the archive {ARCHIVE}"
        refused(filled, words, END, heads=HEADS, archive_id=OTHER)

    @pytest.mark.parametrize("rubbish", ["", "x4 01", "4 01 01", "4", "-4 01"])
    def test_a_damaged_head(self, filled: World, rubbish: str) -> None:
        """What the keys say of the archive is no head: it is not overwritten, nor trusted."""
        trim(filled, heads=HEADS)
        filled.client.hset(filled.keys.named("archived"), "BBB", rubbish)
        before = filled.dump()
        with pytest.raises(ResponseError, match=r"DAMAGED \{mm\}:archived"):
            trim(filled, heads=HEADS)
        if not rubbish.startswith("4"):
            with pytest.raises(ArchiveBroken, match="it lacks the fill BBB-1"):
                trim(filled, END)
        assert filled.dump() == before

    @pytest.mark.parametrize("rubbish", ["", "9", "x9-9", "9-9x"])
    def test_a_damaged_end(self, filled: World, rubbish: str) -> None:
        """Where the ledger is said to begin is no entry: nothing is written."""
        trim(filled, heads=HEADS)
        filled.client.hset(filled.keys.named("archive"), "trimmed_to", rubbish)
        before = filled.dump()
        for bound in ("0-0", END):
            with pytest.raises(ResponseError, match=r"DAMAGED \{mm\}:archive"):
                trim(filled, bound, heads=HEADS)
        assert filled.dump() == before

    @pytest.mark.parametrize("gone", [False, True])
    def test_an_archive_of_another_system(self, filled: World, gone: bool) -> None:
        """Nothing is recorded or removed where the keys hold another system, or none."""
        assert_only_for_its_system(filled, gone, lambda: trim(filled, END, heads=HEADS))


@pytest.mark.parametrize("count", [1_000, 1_001, 2_001])
def test_many_symbols(world: World, count: int) -> None:
    """All heads are recorded, in commands of a size that a script can give."""
    heads = {f"S{number}": number for number in range(1, count + 1)}
    pipeline = world.client.pipeline(transaction=False)
    for name, number in heads.items():
        pipeline.hset(world.keys.member("position:*", name), "position_version", number)
    pipeline.execute()
    trim(world, heads=heads)
    assert world.hash("archived") == {name: f"{n} {LINK}" for name, n in heads.items()}


def test_what_the_state_service_has_not_passed(make_world: MakeWorld) -> None:
    """Real fills: the archive may have them only once they are committed."""
    world = make_world()
    world.propose()
    world.trade(world.order("buy", 3))
    world.trade(world.order("sell", 1))
    first, last = ledger(world)
    refused(world, "it has fill AAA-1, but the position of AAA has 0 fills", heads={"AAA": 1})
    world.drain()
    assert trim(world, last, heads={"AAA": 2}) == Trimmed(first, 1, False)
    assert ledger(world) == [last]
    world.propose(trigger="position")
    world.trade(world.order("buy", 1))
    world.drain()
    assert [fill.fill_id for fill in world.kept_fills()] == ["AAA-2", "AAA-3"]
    assert world.position()["position_version"] == 3
