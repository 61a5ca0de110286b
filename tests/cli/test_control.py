"""``mm halt``, ``reduce``, ``flatten`` and ``resume``: what they change, say and refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.kit import World
from tests.kit.commands import invoke


def facts(*words: str) -> Any:
    """What a command prints with ``--json``."""
    done = invoke(*words, "--json")
    # Nothing runs here, which `mm status` says by its exit status.
    assert done.exit_code == (words[0] == "status"), done.output
    return json.loads(done.stdout)


def test_halt_and_resume(market: World) -> None:
    """A halt names the symbol, what it ended and who did it; resume lets it trade again."""
    done = invoke("halt", "AAA", "--why", "news", "--who", "ann")
    assert done.exit_code == 0
    assert "AAA: active -> halted, neither quoted nor traded" in done.stdout
    assert "withdrawn, exposure released: AAA-1" in done.stdout
    assert "AAA is halted, by ann since " in done.stdout
    stored = market.hash("terms:*", "AAA")
    assert (stored["mode"], stored["mode_why"], stored["mode_who"]) == ("halted", "news", "ann")
    again = invoke("halt", "AAA", "--why", "news")
    assert (again.exit_code, "AAA: halted already, neither" in again.stdout) == (0, True)
    back = invoke("resume", "AAA")
    assert "AAA: halted -> active, quoted and traded" in back.stdout
    assert market.propose(trigger="expired").outcome == "granted"


def test_all_and_json(market: World) -> None:
    """The mode of all symbols is one change, named ``*`` for programs."""
    found = facts("halt", "--all", "--why", "news")
    assert found["changes"] == [
        {
            "symbol": "*",
            "before": "active",
            "after": "halted",
            "holds": "halted",
            "halted": "",
            "ended": "",
            "thawed": "",
        }
    ]
    assert sorted(found["quotes_withdrawn"]) == ["AAA-1", "BBB-1", "CCC-1"]
    (sentence,) = [words for words in found["trouble"] if "every symbol" in words]
    assert sentence.endswith(": news")
    assert facts("status")["modes"][0]["symbol"] == "*"
    assert {row["mode"] for row in facts("quotes")} == {"halted"}
    assert facts("resume", "--all")["changes"][0]["after"] == "active"


def test_reduce_and_flatten(market: World) -> None:
    """A flat symbol is halted by flatten at once; several symbols are changed in one step."""
    found = facts("reduce", "AAA", "BBB", "AAA")
    assert [one["symbol"] for one in found["changes"]] == ["AAA", "BBB"]
    found = facts("flatten", "AAA", "--why", "end of day")
    assert found["changes"][0]["after"] == "halted"
    assert "quoted only to shrink its position" in invoke("status").stdout


def test_the_mode_that_holds_is_said(market: World) -> None:
    """A symbol that resumes while all are halted does not trade, and the command says so."""
    invoke("halt", "AAA", "--why", "news")
    invoke("halt", "--all", "--why", "closed")
    said = " ".join(invoke("resume", "AAA").stdout.split())
    assert "AAA: halted -> active; the mode of all symbols holds: halted, neither quoted" in said
    invoke("halt", "AAA", "--why", "news")
    said = " ".join(invoke("resume", "--all").stdout.split())
    assert "halted -> active, quoted and traded unless a symbol has a mode of its own" in said


def test_an_integrity_halt_stays(market: World) -> None:
    """``resume`` alone does not end it, says so, and has exit status 1."""
    market.client.hset(market.keys.member("position:*", "AAA"), "halted", "a gap")
    done = invoke("resume", "AAA")
    assert done.exit_code == 1
    said = " ".join(done.stdout.split())
    assert "AAA: active already; neither quoted nor traded: an integrity error has halted" in said
    assert "which only --after-repair ends (a gap)" in said
    halted = invoke("halt", "AAA", "--why", "x").stdout + invoke("resume", "AAA").stdout
    assert "quoted and traded" not in halted


def test_the_user_is_the_operator(market: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that no id can have is kept as far as it can; without a name it is unknown."""

    def nobody() -> str:
        raise KeyError("uid not found")

    for user, who in ((lambda: "ann b@c", "ann_b_c"), (lambda: "x" * 70, "x" * 64), (nobody, None)):
        monkeypatch.setattr("getpass.getuser", user)
        assert invoke("reduce", "AAA").exit_code == 0
        assert market.hash("terms:*", "AAA")["mode_who"] == (who or "unknown")
        invoke("resume", "AAA")


def test_repair_and_resume(market: World) -> None:
    """It shows before and after, changes nothing without --apply, and then the symbol resumes."""
    market.trade(market.order("sell", 4))
    market.drain()
    key = market.keys.member("position:*", "AAA")
    market.client.hset(key, mapping={"net_lots": "9", "cost_ticks": "1"})
    market.client.hset(market.keys.member("position:*", "AAA"), "halted", "a gap")
    before = market.dump()
    looked = invoke("repair", "AAA")
    assert (looked.exit_code, market.dump()) == (1, before)
    for line in ("the ledger has 1 fill\n", "net_lots: 9 -> 4", "cost_ticks: 1 -> 396", "--apply"):
        assert line in looked.stdout
    refused = invoke("resume", "AAA", "--after-repair")
    assert refused.exit_code == 1
    assert "AAA does not resume, since the audit finds position-exact violated" in refused.stderr
    assert market.dump() == before
    found = facts("repair", "AAA", "--apply", "--why", "a foreign hand", "--who", "ann")
    assert found["differing"]["net_lots"] == {"found": "9", "ledger": "4"}
    assert (found["repaired"], found["fills"]) == (True, 1)
    assert invoke("repair", "AAA").exit_code == 0
    back = invoke("resume", "AAA", "--after-repair", "--who", "ann")
    assert back.exit_code == 0, back.output
    said = " ".join(back.stdout.split())
    assert "AAA: active already, its halt after an integrity error is ended (a gap), quoted" in said
    assert "halted" not in market.hash("position:*", "AAA")
    story = " ".join(invoke("explain", "AAA").stdout.split())
    assert "ann repaired AAA from its ledger, net_lots=9 cost_ticks=1 to net_lots=4" in story
    assert "ann ended the halt of AAA after a repair (a gap)" in story


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["halt", "--why", "x"], "name the symbols, or give --all"),
        (["halt", "AAA", "--all", "--why", "x"], "name the symbols, or give --all"),
        (["halt", "AAA"], "--why"),
        (["halt", "AAA", "--why", " "], "1 to 200 printable characters"),
        (["halt", "AAA", "--why", "a\nb"], "1 to 200 printable characters"),
        (["halt", "AAA", "--why", "x" * 201], "1 to 200 printable characters"),
        (["halt", "AAA", "--why", "x", "--who", "a b"], "--who"),
        (["halt", "aaa", "--why", "x"], "symbol 'aaa'"),
        (["halt", "AAA", "ZZZ", "--why", "x"], "symbol 'ZZZ': it must be a configured one"),
        (["flatten", "--why", "x"], "SYMBOL"),
        (["reduce"], "name the symbols, or give --all"),
        (["resume", "--all", "--after-repair"], "--after-repair: name the symbols"),
        (["resume", "ZZZ", "--after-repair"], "symbol 'ZZZ'"),
        (["repair", "ZZZ"], "symbol 'ZZZ'"),
        (["repair", "AAA", "--apply", "--why", ""], "1 to 200 printable characters"),
    ],
)
def test_bad_input_changes_nothing(market: World, words: list[str], named: str) -> None:
    """It is refused with the value and the rule, with exit status 2."""
    before = market.dump()
    done = invoke(*words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert named in done.stderr
    assert market.dump() == before
