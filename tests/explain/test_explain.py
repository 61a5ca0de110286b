"""The story of a symbol: what happened, in order, and why each quote has its size."""

from __future__ import annotations

import json

import pytest
from rich.console import Console

from mm.errors import SystemRefused, ValueRefused
from mm.explain import explain
from mm.store import execute
from mm.terminal import story_table
from tests.explain.stories import TTL, kinds, placed, traded
from tests.kit import Fake, World, small_config


@pytest.mark.parametrize("forgotten", [False, True])
def test_order_under_a_used_id_is_not_in_the_story(market: World, forgotten: bool) -> None:
    """The fill's order is the one that was executed, not another that came under its id."""
    placed(market)
    orders = [
        market.order("sell", 4, 98, order_id="o7"),
        market.order("sell", 3, 97, order_id="o7"),
        market.order("buy", 9, 101, order_id="o7"),
    ]
    if not forgotten:
        # This one would fit the fill: only the memory tells the two apart.
        orders.append(market.order("sell", 6, 96, order_id="o7"))
    traded(market, *orders)
    if forgotten:
        for bucket in execute(market.client, "KEYS", "{mm}:seen:*"):
            market.client.delete(bucket)
    fill = explain(market.scripts, "AAA").facts()["steps"][1]
    assert (fill["order"]["quantity"], fill["order"]["limit_price"]) == ("4", "0.98")


def test_story_of_a_fill(market: World) -> None:
    """The story has the order, its fill, the commit, the quote that followed and why its size."""
    placed(market)
    traded(market, market.order("sell", qty=4, limit=98, order_id="o7"))
    placed(market, trigger="position")
    story = explain(market.scripts, "AAA")
    assert kinds(story) == ["quote", "fill", "commit", "quote"]
    facts = story.facts()
    first, fill, commit, second = facts["steps"]
    assert first["trigger"] == "bootstrap"
    assert first["end"] == {"how": "replaced", "by": "AAA-2", "ts_ms": second["ts_ms"]}
    assert fill["order"]["quantity"] == "4"
    assert fill["order"]["limit_price"] == "0.98"
    assert (fill["order_id"], fill["quote_id"], fill["price"]) == ("o7", "AAA-1", "0.99")
    assert fill["ts_ms"] - fill["order"]["sent_ms"] == 2
    assert commit["after_ms"] == 3
    assert (commit["position_version"], commit["net"], commit["cash"]) == (1, "4", "-3.96")
    assert (second["trigger"], second["position_version"]) == ("position", 1)
    assert second["replaces"] == "AAA-1"
    assert second["bid"]["reduced_by"] == ["position_limit"]
    assert (second["bid"]["requested"], second["bid"]["quantity"]) == ("10", "8")
    assert second["ask"]["reduced_by"] == []
    assert second["end"] is None
    lines = "\n".join(story.lines())
    assert "c1 sent order o7, sell 4 at 0.98 or better; 0.002 s later it sold 4 at 0.99" in lines
    assert "+0.003 s  Fill AAA-1 was committed: position version 1, net +4" in lines
    assert "because position version 1 was committed" in lines
    assert "with net +4 the position limit of 12 leaves room for 8" in lines
    assert "replaced AAA-1 after 0.006 s, with 6 of 10 bid and 10 of 10 ask left" in lines
    assert "AAA-2 is active, bid 0.99 with 8 of 8 left" in lines


def test_story_on_every_server(world: World) -> None:
    """The story is the same on each server."""
    world.propose("AAA")
    world.trade(world.order("sell", qty=4))
    world.drain()
    world.propose("AAA", trigger="position")
    assert kinds(explain(world.scripts, "AAA")) == ["quote", "fill", "commit", "quote"]
    assert kinds(explain(world.scripts, "AAA", last=1)) == ["fill", "commit", "quote"]


def test_story_of_an_expiry(market: World) -> None:
    """A quote that nobody renewed expires, and that is the next quote's reason."""
    placed(market)
    market.advance(TTL)
    market.scripts.expire()
    placed(market, trigger="expired")
    story = explain(market.scripts, "AAA")
    assert kinds(story) == ["quote", "expired", "quote"]
    first, end, second = story.facts()["steps"]
    assert first["end"] == {"how": "expired", "by": None, "ts_ms": end["ts_ms"]}
    assert end["after_ms"] == TTL
    assert second["replaces"] is None
    lines = "\n".join(story.lines())
    assert "AAA-1 expired 30.000 s after it was placed, with 10 of 10 bid" in lines
    assert "because the quote before it had ended" in lines


def test_story_of_a_halt_and_a_reduction(market: World) -> None:
    """Who set which mode and why stands between the quotes, and what it did to them."""
    placed(market)
    market.trade(market.order("sell", 4))
    market.drain()
    market.control("reducing", "AAA", why="too long")
    placed(market, trigger="expired")
    market.control("halted", why="news")
    market.control("reducing", "BBB")
    story = explain(market.scripts, "AAA")
    assert [kind for kind in kinds(story) if kind not in ("fill", "commit")] == [
        *("quote", "operation", "withdrawn", "quote", "operation", "withdrawn")
    ]
    reduced = next(step for step in story.facts()["steps"][::-1] if step["kind"] == "quote")
    assert reduced["bid"]["reduced_by"] == ["position_limit", "reducing"]
    lines = "\n".join(story.lines())
    assert "ann set the mode of AAA from active to reducing: too long" in lines
    assert "as it might have grown the position, which must only shrink," in lines
    assert "with net +4 only 0 would shrink the position, and an operator lets it do" in lines
    assert "ann set the mode of every symbol from active to halted: news" in lines
    assert "AAA-2 was withdrawn, as an operator had halted the symbol," in lines
    assert story.lines()[-1].endswith("no quote is active; its mode is halted.")
    assert story.now.facts["mode"] == "halted"


def test_an_unknown_cause_is_shown(market: World) -> None:
    """An end that a foreign program wrote with a cause of its own is in the story as it is."""
    placed(market)
    event = market.events()[0] | {"event": "withdrawn", "cause": "x\u2028y"}
    words = [word for item in event.items() for word in item]
    execute(market.client, "XADD", market.keys.named("quotes"), "*", *words)
    assert "for the unknown cause 'x\\u2028y'" in "\n".join(explain(market.scripts, "AAA").lines())


def test_story_of_a_reduction(market: World) -> None:
    """Exposure that other quotes hold reduces a quote on both sides, and the symbol waits."""
    market.propose("AAA")
    market.propose("BBB")
    placed(market, "CCC")
    story = explain(market.scripts, "CCC")
    [reduced] = story.facts()["steps"]
    assert reduced["outcome"] == "reduced"
    assert reduced["bid"]["quantity"] == reduced["ask"]["quantity"] == "5"
    assert reduced["bid"]["reduced_by"] == reduced["ask"]["reduced_by"] == ["exposure"]
    text = "\n".join(story.lines())
    assert text.count("no more of the exposure limit of 25 lots was left") == 1, text
    assert "bid 0.99 for 5 of 10 asked for and ask 1.01 for 5 of 10 asked for" in text
    assert "Why the bid and the ask: no more" in text
    assert story.now.facts["waits_for"] == ["bid", "ask"]


def test_a_cause_that_stays_is_said_once(market: World) -> None:
    """A quote that is as small as the one before, for the same reason, does not say it again."""
    market.propose("AAA")
    market.propose("BBB")
    for _ in range(3):
        placed(market, "CCC")
    lines = explain(market.scripts, "CCC").lines()[1:4]
    assert ["Why the bid and the ask: no more of the" in line for line in lines] == [
        True,
        False,
        False,
    ]
    assert ["Why: as the quote before." in line for line in lines] == [False, True, True]


def test_story_of_an_omission(fake: Fake) -> None:
    """A symbol for which nothing is free is omitted, loses its quote, and waits."""
    world = World(fake, small_config(2, limit=10))
    world.propose("AAA")
    placed(world, "BBB")
    story = explain(world.scripts, "BBB")
    [omitted] = story.facts()["steps"]
    assert (omitted["kind"], omitted["outcome"]) == ("omitted", "omitted")
    assert "nothing could be quoted" in story.lines()[1]
    assert "no quote is active; it waits for exposure" in story.lines()[-1]
    world.advance(TTL)
    world.scripts.expire()
    placed(world, "BBB", trigger="capacity")
    story = explain(world.scripts, "BBB")
    assert kinds(story) == ["omitted", "quote"]
    assert "because exposure that it waited for had become free" in "\n".join(story.lines())


def test_story_of_a_withdrawal_by_omission(fake: Fake) -> None:
    """A quote that an omission replaces was withdrawn, and the story says what was left of it."""
    world = World(fake, small_config(1, of_symbol={"position_limit_lots": 4}))
    placed(world)
    traded(world, world.order("sell", qty=4))
    world.advance(1)
    world.propose("AAA", ask_lots=0, trigger="position")
    story = explain(world.scripts, "AAA")
    assert kinds(story) == ["quote", "fill", "commit", "omitted"]
    first, last = story.facts()["steps"][0], story.facts()["steps"][-1]
    assert (first["end"]["how"], last["replaces"]) == ("withdrawn", "AAA-1")
    assert "It withdrew AAA-1" in story.steps[-1].text
    assert "leaves room for 0" in story.steps[-1].text


def test_story_of_a_halt(market: World) -> None:
    """A halt withdraws the quote, and the story ends with the cause of the halt."""
    placed(market)
    execute(market.client, "XADD", market.keys.named("fills"), "*", "AAA-7", "buy 1 1 c o AAA-1 1")
    market.advance(5)
    market.scripts.commit(100)
    story = explain(market.scripts, "AAA")
    assert kinds(story) == ["quote", "withdrawn"]
    assert story.steps[-1].facts["cause"] == "halted"
    assert (
        "AAA-1 was withdrawn, the symbol being halted after an integrity error," in story.lines()[2]
    )
    assert "HALTED: sequence: expected 1 got 7" in story.lines()[-1]


def test_notional_units_explain_the_whole_limit(fake: Fake) -> None:
    """The story says that even the whole limit holds less than was requested."""
    world = World(fake, small_config(1, limit=505, mode="notional"))
    placed(world)
    [step] = explain(world.scripts, "AAA").steps
    assert step.facts["ask"]["reduced_by"] == ["exposure_limit"]
    assert "the whole short limit of 5.05 USD holds no more than 5" in step.text


def test_several_fills_in_one_commit(market: World) -> None:
    """Fills that were committed together are a step each, followed by one commit."""
    placed(market)
    traded(market, *(market.order("buy", qty=2) for _ in range(3)), market.order("buy", qty=9))
    story = explain(market.scripts, "AAA")
    assert kinds(story) == ["quote", "fill", "fill", "fill", "fill", "commit"]
    assert "The remaining 5 did not fill and were canceled" in story.steps[4].text
    assert "Fills AAA-1 to AAA-4 were committed: position version 4, net -10" in story.steps[5].text


def test_uncommitted_fills_are_shown(market: World) -> None:
    """The story has a fill that is not committed yet, and its last line says so."""
    placed(market)
    market.trade(market.order())
    story = explain(market.scripts, "AAA")
    assert kinds(story) == ["quote", "fill"]
    assert "1 fill is not committed yet" in story.lines()[-1]


def test_last_bounds_the_story_and_other_symbols_stay_out(market: World) -> None:
    """The story has the last placements, and the fills that led to the first of them."""
    for _ in range(6):
        placed(market, trigger="position")
        placed(market, "BBB", trigger="position")
        traded(market, market.order("sell"), market.order("buy"), market.order(symbol="BBB"))
    story = explain(market.scripts, "AAA", last=2)
    traded_on = ["fill", "fill", "commit"]
    assert kinds(story) == [*traded_on, "quote", *traded_on, "quote", *traded_on]
    quotes = [step.facts["quote_id"] for step in story.steps if step.kind == "quote"]
    assert quotes == ["AAA-5", "AAA-6"]
    assert not story.notes
    assert "BBB" not in "\n".join(story.lines())


def test_what_retention_took_is_noted(market: World) -> None:
    """Without trimmed orders, updates and quotes, the story shows the rest and notes the gap."""
    for _ in range(4):
        placed(market, trigger="position")
        traded(market, market.order("sell"), market.order("buy"))
    for name, keep in (("orders", 0), ("positions", 1), ("quotes", 2)):
        execute(market.client, "XTRIM", market.keys.named(name), "MAXLEN", "=", keep)
    story = explain(market.scripts, "AAA")
    assert kinds(story) == ["quote", "fill", "fill", "quote", "fill", "fill", "commit"]
    assert story.notes == ("Quotes before AAA-3 could not be read.",)
    assert all(step.facts["order"] is None for step in story.steps if step.kind == "fill")
    assert "All fills up to AAA-8 were committed" in story.steps[-1].text
    net = [step.facts["net"] for step in story.steps if step.kind == "quote"]
    assert net == ["0", "0"], "the net comes from the fills, not from the trimmed updates"


def test_look_back_is_bounded_and_noted(market: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading stops after a bound, and a note says so."""
    placed(market)
    for _ in range(10):
        placed(market, "BBB", trigger="refresh")
    monkeypatch.setattr("mm.explain.past.LOOK_BACK", 5)
    story = explain(market.scripts, "AAA")
    assert not story.steps
    assert "Looked at 5 entries" in story.notes[0]


def test_unknown_symbol_and_missing_system_are_refused(market: World, fake: Fake) -> None:
    """For a wrong symbol the error names the right ones; without a system it says that."""
    with pytest.raises(ValueRefused, match="AAA BBB CCC"):
        explain(market.scripts, "ZZZ")
    market.client.flushall()
    with pytest.raises(SystemRefused, match="no system runs"):
        explain(market.scripts, "AAA")


def test_foreign_entries_do_not_stop_the_story(market: World) -> None:
    """Entries of foreign programs on the streams are left out."""
    placed(market)
    traded(market, market.order("sell"))
    for name in ("quotes", "positions", "orders"):
        for words in (("x", "y"), ("symbol", "AAA"), ("AAA", "1 2"), ("o", "c AAA buy x y")):
            execute(market.client, "XADD", market.keys.named(name), "*", *words)
    assert kinds(explain(market.scripts, "AAA")) == ["quote", "fill", "commit"]


def test_facts_are_json_and_the_story_renders(market: World) -> None:
    """Facts survive JSON; the console shows each line of the story."""
    placed(market)
    traded(market, market.order("sell"))
    story = explain(market.scripts, "AAA")
    assert json.loads(json.dumps(story.facts())) == story.facts()
    console = Console(width=80, record=True)
    console.print(story_table(story))
    shown = " ".join(console.export_text().split())
    for step in story.steps:
        assert " ".join(step.text.split())[:40] in shown
