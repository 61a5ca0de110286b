"""What the page of a symbol reads: all that it shows, and never more than a bound."""

from __future__ import annotations

import pytest

from mm.explain import explain as real_explain
from mm.store import Snapshot, take_snapshot
from mm.store import execute as real_execute
from mm.terminal import grouped_decimal, symbol_source
from mm.terminal.symbol_source import SymbolPast, SymbolSource
from tests.kit import Fake, World, small_config
from tests.kit.partitioned import Partitioned


@pytest.fixture
def world(fake: Fake) -> World:
    """Two symbols, both quoted and traded three times a second apart."""
    world = World(fake, small_config(2, limit=1_000))
    for step in range(3):
        for name in world.names:
            world.propose(name, bid=90 + step, ask=100 + step)
            world.trade(world.order("sell", 1, symbol=name), world.order("buy", 2, symbol=name))
        world.scripts.commit(100)
        fake.advance(1_000)
    return world


def kept(past: SymbolPast) -> tuple[list[tuple[int | None, int | None]], list[str]]:
    """The prices quoted and the fills, oldest first."""
    return [(one.bid, one.ask) for one in past.quotes], [one.fill_id for one in past.fills]


def test_all_of_the_symbol_and_nothing_of_others(world: World) -> None:
    """Quotes and fills of the symbol come oldest first, each once, however often one reads."""
    source = SymbolSource(world.scripts, "AAA")
    quotes = [(90, 100), (91, 101), (92, 102)]
    for _ in range(3):
        past = source.update(take_snapshot(world.scripts))
        assert kept(past) == (quotes, [f"AAA-{seq}" for seq in range(1, 7)])
    world.propose("AAA", bid=95, ask=105, ask_lots=0)
    world.trade(world.order("sell", 1))
    past = source.update(take_snapshot(world.scripts))
    assert kept(past) == ([*quotes, (95, None)], [f"AAA-{seq}" for seq in range(1, 8)])
    assert past.trouble == "" and past.symbol == "AAA"


def test_older_ones_come_bit_by_bit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reading takes one chunk of new entries and one of older ones, up to a bound."""
    monkeypatch.setattr(symbol_source, "CHUNK", 2)
    source, found = SymbolSource(world.scripts, "AAA"), take_snapshot(world.scripts)
    counts = [len(source.update(found).quotes) for _ in range(4)]
    assert counts == [2, 3, 3, 3]
    monkeypatch.setattr(symbol_source, "SEARCHED", 2)
    bounded = SymbolSource(world.scripts, "AAA")
    assert [len(bounded.update(found).quotes) for _ in range(4)] == [1, 1, 1, 1]


def test_few_entries_are_read_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """No command of a reading asks for more than a chunk, and the story looks back a bound."""
    asked: list[int] = []

    def counting(client: object, *words: str | int) -> object:
        asked.append(int(words[-1]))
        return real_execute(client, *words)  # type: ignore[arg-type]  # it is a client

    monkeypatch.setattr(symbol_source, "execute", counting)
    source = SymbolSource(world.scripts, "AAA")
    for _ in range(3):
        source.update(take_snapshot(world.scripts))
    assert set(asked) == {symbol_source.CHUNK}
    assert len(asked) <= 4


def test_the_story_is_read_when_something_has_changed(
    world: World, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The story is read again only after a change of the symbol, and not at every frame."""
    reads: list[int] = []

    def counting(*given: object) -> object:
        reads.append(1)
        return real_explain(*given)  # type: ignore[arg-type]  # as they were given

    monkeypatch.setattr(symbol_source, "explain", counting)
    source = SymbolSource(world.scripts, "AAA")

    def after(ms: int) -> int:
        fake.advance(ms)
        source.update(take_snapshot(world.scripts))
        return len(reads)

    assert [after(0), after(5_000), after(5_000)] == [1, 1, 1]
    world.trade(world.order("sell", 1))
    assert after(100) == 2
    world.trade(world.order("sell", 1))
    assert [after(100), after(symbol_source.STORY_MS)] == [2, 3]
    assert source.past.story[-1][2].startswith("now: position 6")
    assert any("fill AAA-8" in line for _, _, line in source.past.story)


def test_a_partition_has_its_own_past(fake: Fake) -> None:
    """The past of a symbol comes from the streams of its partition."""
    made = Partitioned(fake, small_config(4, limit=1_000, partitions=2))
    for world in made.worlds:
        made.round()
        for name in world.names:
            world.propose(name)
            world.trade(world.order("sell", 1, symbol=name))
            world.scripts.commit(10)
    for name in made.root.names:
        found = take_snapshot(made.root.scripts)
        past = SymbolSource(made.root.scripts, name).update(found)
        assert kept(past)[1] == [f"{name}-1"]
        assert any(f"fill {name}-1" in line for _, _, line in past.story)


def test_a_server_that_does_not_answer_leaves_the_past(world: World) -> None:
    """What was read stays, with the reason why nothing newer comes."""
    source = SymbolSource(world.scripts, "AAA")
    found: Snapshot = take_snapshot(world.scripts)
    before = source.update(found)
    world.propose("AAA")
    later = take_snapshot(world.scripts)
    world.backend.server.connected = False  # type: ignore[attr-defined]  # fakeredis
    after = source.update(later)
    assert kept(after) == kept(before) and after.story == before.story
    assert after.trouble


def test_numbers_of_a_story_as_they_are_asked_for(fake: Fake) -> None:
    """Prices and quantities of a story are written as asked for, and no version or id is."""
    config = small_config(1, limit=9_000, size=2_000, of_symbol={"position_limit_lots": 9_000})
    world = World(fake, config)
    world.propose(bid=64_250, ask=64_260, bid_lots=1_500, ask_lots=2_500)
    world.trade(world.order("buy", 1_200, order_id="1234"))
    world.scripts.commit(100)
    found = take_snapshot(world.scripts)
    plain = [text for *_, text in SymbolSource(world.scripts, "AAA").update(found).story]
    source = SymbolSource(world.scripts, "AAA", grouped_decimal)
    grouped = [text for *_, text in source.update(found).story]
    assert plain == [
        "-> AAA-1 1500 @ 642.50 | 642.60 @ 2500 (bootstrap)",
        "order c1/1234 -> buy 1200 @ 642.60, fill AAA-1 of AAA-1",
        "-> position 1, net -1200",
        "now: position 1, net -1200, AAA-1",
    ]
    assert grouped == [
        "-> AAA-1 1,500 @ 642.50 | 642.60 @ 2,500 (bootstrap)",
        "order c1/1234 -> buy 1,200 @ 642.60, fill AAA-1 of AAA-1",
        "-> position 1, net -1,200",
        "now: position 1, net -1,200, AAA-1",
    ]


@pytest.mark.parametrize(
    ("plain", "grouped"),
    [("-0.002", "-0.002"), ("-1234.50", "-1,234.50"), ("0", "0"), ("1000000", "1,000,000")],
)
def test_groups_keep_the_sign(plain: str, grouped: str) -> None:
    """Digits in groups are the same number, below one too."""
    assert grouped_decimal(plain) == grouped
