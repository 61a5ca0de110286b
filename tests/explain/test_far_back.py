"""The story of a fill or an order with more after it than any story has, in stream and archive."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

import pytest

from mm.errors import SystemRefused
from mm.explain import Story, asked_story, explain, fill_of_order
from mm.explain.asked import MAX_LAST
from mm.store import StreamReader, execute
from tests.explain.stories import kinds, placed, traded
from tests.kit import Fake, World, small_config

#: Where the past is: in the streams, in both, or in the archive alone.
Where: TypeAlias = Literal["stream", "both", "archive"]
PLACES: tuple[Where, ...] = ("stream", "both", "archive")


def long_ago(world: World) -> None:
    """A few fills of two symbols, on three quotes of the first one."""
    placed(world)
    placed(world, "BBB")
    traded(world, world.order("sell", 4, order_id="first"), world.order(symbol="BBB"))
    placed(world, trigger="position")
    traded(
        world, world.order("sell", 2, order_id="second"), world.order("buy", 1, order_id="third")
    )
    traded(world, world.order("sell", 3, order_id="fourth"))
    traded(world, world.order("buy", 1, 1, order_id="canceled"))
    traded(world, world.order("buy", 1, symbol="ZZZ", order_id="rejected"))
    placed(world, trigger="position")
    traded(world, world.order("sell", 1, order_id="fifth"))
    placed(world, trigger="position")


def busy_since(world: World, count: int = MAX_LAST + 50) -> None:
    """More placements than any story has, and fills among them."""
    for number in range(count):
        placed(world, trigger="refresh")
        if number % 50 == 0:
            traded(world, world.order("sell" if number % 100 else "buy", 1))


def forgotten(world: World) -> None:
    """The exchange remembers no order any more."""
    for bucket in StreamReader(world.scripts).members("seen:*"):
        world.client.delete(world.keys.member("seen:*", bucket))


def stories_of(world: World) -> dict[str, Story]:
    """The stories of the first fills, by the order of each."""
    orders = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5}
    return {
        order: asked_story(world.scripts, None, 10, fill_id=f"AAA-{number}")
        for order, number in orders.items()
    }


@pytest.mark.parametrize("where", PLACES)
def test_far_back(fake: Fake, tmp_path: Path, where: Where) -> None:
    """Each fill and order of long ago has its story as when it was new, however much came since."""
    world = World(fake, small_config(2, limit=100, keep_fills=1))
    long_ago(world)
    new = stories_of(world)
    busy_since(world)
    if where != "stream":
        world.archive(tmp_path)
    traded(world, world.order("sell", 1))
    if where == "archive":
        for name in ("quotes", "orders"):
            execute(world.client, "XTRIM", world.keys.named(name), "MAXLEN", "=", 1)
    # A fill is found without the memory of its order. What did not fill is in the archive only.
    if where != "stream":
        forgotten(world)
    assert len(world.events()) > MAX_LAST or where == "archive"
    for order, before in new.items():
        assert kinds(before) == ["quote", "fill", "commit", "quote"]
        name = f"c1/{order}"
        for now in (
            asked_story(world.scripts, None, 10, fill_id=fill_of_order(world.scripts, name)),
            asked_story(world.scripts, None, 10, order=name),
        ):
            assert [step.text for step in now.steps] == [step.text for step in before.steps]
            assert now.notes == before.notes == ()
    for words in ("canceled, not_crossing", "rejected, unknown_symbol"):
        name = f"c1/{words.partition(',')[0]}"
        with pytest.raises(SystemRefused, match=f"{name} has no fill: its outcome was {words}"):
            asked_story(world.scripts, None, 10, order=name)
    with pytest.raises(SystemRefused, match="c1/never is not remembered, and not in the archive"):
        asked_story(world.scripts, None, 10, order="c1/never")
    # What is read is round the fill.
    assert explain(world.scripts, "AAA", fill=3, look_back=40).notes == ()


def test_what_cannot_be_read(fake: Fake) -> None:
    """A fill that never was, one that is too far back, and a lost quote are each named so."""
    world = World(fake, small_config(2, limit=100))
    long_ago(world)
    with pytest.raises(SystemRefused, match=r"AAA-6 .* AAA: it has had 5 fills"):
        explain(world.scripts, "AAA", fill=6)
    with pytest.raises(SystemRefused, match=r"AAA-1 .* Looked at 1 entries of {mm}:fills only"):
        explain(world.scripts, "AAA", fill=1, look_back=1)
    execute(world.client, "XTRIM", world.keys.named("quotes"), "MAXLEN", "=", 2)
    story = asked_story(world.scripts, None, 10, fill_id="AAA-3")
    assert kinds(story) == ["fill", "commit", "quote"]
    assert "The quote AAA-2 could not be read." in story.notes
    story = asked_story(world.scripts, None, 10, fill_id="AAA-5")
    assert kinds(story) == ["quote", "fill", "commit", "quote"]
    assert story.notes == ("Quotes before AAA-3 could not be read.",)


def test_a_fill_of_a_ledger_without_archive(fake: Fake) -> None:
    """The fill of an order that is forgotten is found among the newest of the ledger."""
    world = World(fake, small_config(2, limit=100))
    long_ago(world)
    forgotten(world)
    assert fill_of_order(world.scripts, "c1/second") == "AAA-2"


def test_a_fill_that_nothing_answered(fake: Fake) -> None:
    """Its story ends with its commit, or with the fill itself."""
    world = World(fake, small_config(1, limit=100))
    placed(world)
    traded(world, world.order("sell", 1), world.order("sell", 2))
    world.trade(world.order("buy", 1))
    stories = [asked_story(world.scripts, None, 10, fill_id=f"AAA-{number}") for number in (1, 3)]
    assert [kinds(story) for story in stories] == [["quote", "fill", "commit"], ["quote", "fill"]]
    assert "Fills AAA-1 to AAA-2 were committed" in stories[0].steps[2].text
    assert "net 0" in stories[1].steps[0].text
