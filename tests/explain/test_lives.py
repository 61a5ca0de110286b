"""Who lived when, in a story: starts, ends and silences of processes and of the server."""

from __future__ import annotations

import pytest

from mm.explain import explain, short_lines
from mm.explain.step import instant
from mm.market import LIVE_MS
from tests.explain.stories import TTL, kinds, placed
from tests.kit import SYSTEM_ID, Fake, World, small_config


def test_story_of_a_stop(market: World) -> None:
    """At an orderly stop the quote is withdrawn, and the story says who stopped and who came."""
    market.beat("maker-1", pid=11, first=True)
    market.beat("publisher-1", pid=12, first=True)
    placed(market)
    market.advance(1)
    market.farewell("maker-1", pid=11)
    market.scripts.withdraw(SYSTEM_ID)
    market.advance(500_000)
    market.beat("maker-1", run="second", pid=13, first=True, server_run="other")
    placed(market, trigger="expired")
    story = explain(market.scripts, "AAA")
    expected = ["quote", "stopped", "withdrawn", "server_started", "started", "quote"]
    assert kinds(story) == expected
    quote, stopped, end, _, started, last = story.facts()["steps"]
    assert quote["end"] == {"how": "withdrawn", "by": None, "ts_ms": end["ts_ms"]}
    assert (stopped["process"], stopped["pid"], started["pid"]) == ("maker-1", "11", "13")
    assert (end["cause"], end["unattended_from_ms"]) == ("stopped", None)
    assert last["trigger"] == "expired"
    lines = "\n".join(story.lines())
    assert "maker-1 (pid 11) stopped in order." in lines
    assert "AAA-1 was withdrawn, as its makers had stopped in order, 0.001 s after" in lines
    assert "The server had been started anew, 500.002 s after any process was last heard." in lines
    assert "maker-1 (pid 13) started." in lines
    assert "because the quote before it had ended" in lines


def test_story_of_a_kill(market: World) -> None:
    """When all was killed, a late expiry says since when nobody was there to end the quote."""
    for pid, name in enumerate(("exchange-1", "state-1", "maker-1"), 11):
        market.beat(name, pid=pid, first=True)
    placed(market)
    heard_ms = market.now_ms()
    market.beat("state-1", pid=12)
    market.advance(492_000)
    market.beat("state-1", run="second", pid=22, first=True)
    market.scripts.expire()
    story = explain(market.scripts, "AAA")
    assert kinds(story) == ["quote", "started", "expired"]
    _, started, end = story.facts()["steps"]
    assert (started["before_pid"], started["heard_ms"]) == ("12", heard_ms)
    assert end["unattended_from_ms"] == heard_ms
    lines = "\n".join(story.lines())
    assert "state-1 (pid 22) started, after pid 12 had ended without a farewell:" in lines
    assert "it was last heard 492.000 s before." in lines
    assert "AAA-1 expired 492.000 s after it was placed" in lines
    late = "That was 462.000 s after its expiry: no exchange, state service or maker was live"
    assert f"{late} to end it since {instant(heard_ms)}." in lines


def test_story_of_a_server_that_was_down(market: World) -> None:
    """When the server was away while its processes lived, a late expiry says so, and since when."""
    for pid, name in enumerate(("exchange-1", "state-1", "maker-1"), 11):
        market.beat(name, pid=pid, first=True, server_run="one")
    placed(market)
    market.advance(1_000)
    market.beat("exchange-1", pid=11, server_run="one")
    heard_ms = market.now_ms()
    market.advance(100_000)
    for pid, name in enumerate(("exchange-1", "state-1", "maker-1"), 11):
        market.beat(name, pid=pid, server_run="two")
    market.scripts.expire()
    story = explain(market.scripts, "AAA")
    assert kinds(story) == ["quote", "server_started", "expired"]
    _, server, end = story.facts()["steps"]
    assert (server["heard_ms"], end["unattended_from_ms"]) == (heard_ms, heard_ms)
    lines = "\n".join(story.lines())
    assert "The server had been started anew, 100.000 s after any process was last heard." in lines
    late = "That was 71.000 s after its expiry: the server was not there"
    assert f"{late} since {instant(heard_ms)}." in lines


@pytest.mark.parametrize("late_ms", [1_000 + LIVE_MS, 1_001 + LIVE_MS])
@pytest.mark.parametrize("kind", ["exchange", "state", "maker", "publisher"])
def test_an_absence_is_said_only_of_those_who_end_quotes(
    fake: Fake, kind: str, late_ms: int
) -> None:
    """A late end has its reason when nobody was there, and none when somebody was."""
    world = World(fake, small_config(1))
    world.beat("state-1", first=True)
    placed(world)
    world.farewell("state-1")
    world.advance(TTL + 100)
    world.beat(f"{kind}-1", first=True)
    for _ in range(8):
        world.advance(late_ms // 8)
        world.beat(f"{kind}-1")
    world.advance(late_ms - 100 - late_ms // 8 * 8)
    world.beat(f"{kind}-1")
    world.scripts.expire()
    end = explain(world.scripts, "AAA").facts()["steps"][-1]
    assert end["kind"] == "expired"
    said = kind == "publisher" and late_ms > 1_000 + LIVE_MS
    assert (end["unattended_from_ms"] is not None) is said


def test_a_silence_is_in_the_story(market: World) -> None:
    """A process that hung is said to be silent, and heard again; publishers are left out."""
    market.beat("maker-2", pid=2, first=True)
    market.beat("publisher-1", pid=3, first=True)
    placed(market)
    for _ in range(12):
        market.beat("maker-1")
        market.advance(400)
    market.beat("maker-2", pid=2)
    market.advance(1)
    lines = explain(market.scripts, "AAA").lines()
    found = [line.split("  ")[1] for line in lines if "maker-2" in line or "publisher" in line]
    assert [line.partition(" (pid 2) ")[2] for line in found] == [
        "had not been heard for 2.401 s, while others were: it had died, or hung.",
        "was heard again after 4.801 s.",
    ]


def test_lives_in_a_line_each(market: World) -> None:
    """Starts, kills, recoveries and stops stand in the short story, a line each."""
    placed(market)
    for pid, name in enumerate(("exchange-1", "maker-1"), 11):
        market.beat(name, pid=pid, first=True, server_run="one")
    for _ in range(12):
        market.advance(400)
        market.beat("exchange-1", pid=11, server_run="one")
    market.beat("maker-1", pid=12, server_run="one")
    market.advance(500)
    market.beat("maker-1", pid=22, first=True, run="r2", server_run="one")
    market.advance(700)
    market.beat("exchange-1", pid=11, server_run="two")
    market.farewell("maker-1", "r2", pid=22)
    lines = [line for _, _, line in short_lines(explain(market.scripts, "AAA"))]
    assert lines[1:-1] == [
        "server started anew",
        "exchange-1 started (pid 11)",
        "maker-1 started (pid 12)",
        "maker-1 lost (pid 12), unheard for 2.400 s",
        "maker-1 heard again (pid 12), unheard for 4.800 s",
        "maker-1 died and came back (pid 12 -> 22), unheard for 0.500 s",
        "server started anew, unheard for 0.700 s",
        "maker-1 stopped in order (pid 22)",
    ]


def test_many_starts_are_bounded(market: World) -> None:
    """Of very many starts the story has the newest, and says so."""
    placed(market)
    for number in range(102):
        market.advance(1)
        market.beat("exchange-1", run=f"r{number}", pid=number, first=True)
    story = explain(market.scripts, "AAA")
    assert kinds(story) == ["quote", *["started"] * 100]
    assert story.steps[-1].facts["pid"] == "101"
    assert "Only the last 100 starts and ends of processes are shown." in story.notes
