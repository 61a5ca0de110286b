"""Parts of a story: since an instant, of one fill or order; and a line a step."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mm.cli import main
from mm.errors import SystemRefused, ValueRefused
from mm.explain import asked_story, explain, fill_of_order, of_fill, short_lines, since, split_fill
from mm.host import System
from mm.market import Instant
from tests.explain.stories import TTL, kinds, placed, traded
from tests.kit import World


@pytest.fixture
def storied(market: World) -> World:
    """Three quotes of AAA, two fills between them, and one quote that expired."""
    placed(market)
    traded(market, market.order("sell", qty=4, limit=98, order_id="o7"))
    placed(market, trigger="position")
    traded(market, market.order("buy", qty=2, limit=102, order_id="o8"))
    placed(market, trigger="position")
    market.advance(TTL + 1)
    market.scripts.expire()
    return market


def test_since(storied: World) -> None:
    """Only what came then or later."""
    story = explain(storied.scripts, "AAA")
    assert kinds(story) == [*["quote", "fill", "commit"] * 2, "quote", "expired"]
    later = since(story, story.steps[3].ts_ms)
    assert kinds(later) == kinds(story)[3:]
    assert later.now == story.now


def test_since_before_what_is_read(storied: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A story that begins later than asked for says why."""
    whole = asked_story(storied.scripts, "AAA", 10, begin=Instant(0))
    assert whole.notes == ()
    monkeypatch.setattr("mm.explain.asked.MAX_LAST", 2)
    later = asked_story(storied.scripts, "AAA", 10, begin=Instant(0))
    assert later.notes == ("Only the last 2 placements are shown.",)
    since_ms = later.steps[0].ts_ms
    assert asked_story(storied.scripts, "AAA", 10, begin=Instant(since_ms)).notes == ()


@pytest.mark.parametrize("number", [1, 2])
def test_of_one_fill(storied: World, number: int) -> None:
    """The quote that it hit, the fill, its commit, and the quote that answered it."""
    story = of_fill(explain(storied.scripts, "AAA"), f"AAA-{number}")
    assert kinds(story) == ["quote", "fill", "commit", "quote"]
    hit, fill, commit, answer = (step.facts for step in story.steps)
    assert hit["quote_id"] == fill["quote_id"] == f"AAA-{number}"
    assert commit["position_version"] == answer["position_version"] == number


def test_a_fill_that_is_not_there(storied: World) -> None:
    """It is said; an invalid id is refused."""
    with pytest.raises(SystemRefused, match="fill AAA-9 is not in what is known of AAA"):
        explain(storied.scripts, "AAA", fill=9)
    with pytest.raises(SystemRefused, match="fill AAA-1 is not in this story of AAA"):
        of_fill(explain(storied.scripts, "AAA", last=1), "AAA-1")
    assert split_fill("aaa-7") == ("AAA", 7)
    for word in ("AAA", "AAA-0", "-7", "AAA-x", "a a-1"):
        with pytest.raises(ValueRefused):
            split_fill(word)


def test_the_fill_of_an_order(storied: World) -> None:
    """The exchange remembers it; an order without one is named with its outcome."""
    assert fill_of_order(storied.scripts, "c1/o8") == "AAA-2"
    traded(storied, storied.order("buy", qty=1, limit=1, order_id="none"))
    with pytest.raises(SystemRefused, match="order c1/none has no fill: its outcome was canceled"):
        fill_of_order(storied.scripts, "c1/none")
    with pytest.raises(SystemRefused, match="order c1/never is not remembered"):
        fill_of_order(storied.scripts, "c1/never")
    for word in ("o8", "c1/", "a b/o"):
        with pytest.raises(ValueRefused):
            fill_of_order(storied.scripts, word)


def test_a_line_a_step(storied: World) -> None:
    """Arrows lead from cause to effect; the same cause of both sides is said once."""
    storied.advance(1)
    storied.control("halted", "AAA")
    lines = [line for _, _, line in short_lines(explain(storied.scripts, "AAA"))]
    assert lines == [
        "-> AAA-1 10 @ 0.99 | 1.01 @ 10 (bootstrap)",
        "order c1/o7 -> sell 4 @ 0.99, fill AAA-1 of AAA-1",
        "-> position 1, net +4",
        "-> AAA-2 8/10 @ 0.99 | 1.01 @ 10 (position) after AAA-1, less for position_limit",
        "order c1/o8 -> buy 2 @ 1.01, fill AAA-2 of AAA-2",
        "-> position 2, net +2",
        "-> AAA-3 10 @ 0.99 | 1.01 @ 10 (position) after AAA-2",
        "AAA-3 expired, 10 x 10 left",
        "ann: mode active -> halted (a test)",
        "now: position 2, net +2, no quote",
    ]


def run(world: World, monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    """``mm explain`` with these words."""
    monkeypatch.setattr(System, "scripts", lambda _self, **_: world.make_scripts())
    return CliRunner().invoke(main, ["explain", *words])


def test_command(storied: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The symbol follows from the fill or the order; --json has the same part."""
    for words in (["--fill", "aaa-2"], ["--order", "c1/o8"], ["AAA", "--fill", "AAA-2"]):
        done = run(storied, monkeypatch, *words, "--json")
        assert done.exit_code == 0, done.output
        facts: Any = json.loads(done.stdout)
        assert [step["kind"] for step in facts["steps"]] == ["quote", "fill", "commit", "quote"]
    done = run(storied, monkeypatch, "AAA", "--since", "1d", "--short")
    assert "-> position 1, net +4" in done.stdout
    assert run(storied, monkeypatch, "AAA", "--since", "0s", "--json").exit_code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name the symbol, or a fill or order"),
        (["AAA", "--since", "soon"], "--since 'soon'"),
        (["AAA", "--since", "5m", "--fill", "AAA-1"], "give one of them"),
        (["BBB", "--fill", "AAA-1"], "fill AAA-1 is of AAA, not of BBB"),
        (["--order", "o8"], "it must be CLIENT/ID"),
    ],
)
def test_command_refuses(
    storied: World, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    """What names no part, or two, ends with status 2."""
    done = run(storied, monkeypatch, *words)
    assert (done.exit_code, said in done.stderr) == (2, True), done.output
