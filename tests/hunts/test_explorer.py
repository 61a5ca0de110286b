"""Every interleaving of small worlds, in the short form; ``scripts/explore`` is the long one."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from mm.audit import audit
from mm.store import script_names
from mm.store.lua import assembled
from tests.hunts.explorer.parts import Spec, Violation, broken
from tests.hunts.explorer.replay import ServerHost, bare, compare, explained, play, random_walk
from tests.hunts.explorer.search import explore
from tests.hunts.explorer.worlds import BUY, FULL, QUICK, WORLDS, tiny
from tests.kit import SEEDS, Backend

#: Scripts broken on purpose: script, its piece, the replacement, the world, the violation found.
BREAKS = {
    "a fill uncommitted": (
        *("place", "current.fill_seq ~= current.position_version", "false"),
        *("core", "gate-kept"),
    ),
    "a position of yesterday": (
        *("place", "current.position_version ~= proposed.position_version", "false"),
        *("whole", "gate-kept"),
    ),
    "a dead maker counted in": (
        *("heartbeat", "text(now - live_ms)", "'-inf'"),
        *("presence", "at rest"),
    ),
    "a quote replaced unseen": (
        *("place", "current.quote_version ~= proposed.quote_version", "false"),
        *("core", "gate-kept"),
    ),
    "no limit": (
        *(
            "place",
            "lots = math.min(wanted_lots, math.floor(free / lot_units))",
            "lots = wanted_lots",
        ),
        *("core", "exposure-bounded"),
    ),
    "no release at expiry": (
        *("expire", "adjust(keys.exposure, -old.bid, -old.ask)", ""),
        *("core", "exposure-exact"),
    ),
    "a cursor that stays": (
        *("match", "cursors_key, 'exchange', new_cursor,", "cursors_key, 'exchange', cursor,"),
        *("core", "drained"),
    ),
    "no memory of orders": (
        *("match", "outcome = key and seen[key], nil", "outcome"),
        *("core", "order-once"),
    ),
    "another order's outcome": (
        *("match", "if known == content then", "if known then"),
        *("conflict", "conflicts missing"),
    ),
    "a conflict that is remembered": (
        *("match", "if key and not remembered then", "if key then"),
        *("conflict", "conflicts missing"),
    ),
    "a memory too short": (
        *("match", "seen_prefix .. text(bucket - 1), seen_prefix", "seen_prefix"),
        *("window", "order-once"),
    ),
    "executed at its expiry": (
        *("match", "tonumber(expires_ms) <= now", "tonumber(expires_ms) < now"),
        *("core", "fills-within-quote"),
    ),
    "quoted while halted": (
        *("place", "if current.halted then", "if false then"),
        *("halt", "gate-kept"),
    ),
    "a waiter passed over": (
        *("place", "function(other) return other == symbol end", "function() return true end"),
        *("three", "out of turn"),
    ),
    "withdrawn from a live maker": (
        *("withdraw", "if #live > 0 then", "if false then"),
        *("presence", "withdrawn without a reason"),
    ),
    "a withdrawal that keeps exposure": (
        *("withdraw", "adjust(keys.exposure, -old.bid, -old.ask)", ""),
        *("withdraw", "exposure-exact"),
    ),
    "a withdrawal that lets wait": (
        *("withdraw", "  leave_queues(waiting, reservation_prefix, symbol)\nend", "end"),
        *("withdraw", "left after a withdrawal"),
    ),
    "quoted although an operator has halted all": (
        *("place", "is_halted(mode_of_all, mode) and", "is_halted(nil, mode) and"),
        *("modes", "mode-kept"),
    ),
    "a halt that leaves the quote": (
        *(
            "control",
            "if is_touched['*'] or is_touched[symbol] then\n    local cause",
            "if is_touched[symbol] then\n    local cause",
        ),
        *("modes", "mode-kept"),
    ),
    "a reduction that grows the position": (
        *("place", "position.reducing and 0 or position.limit", "position.limit"),
        *("modes", "mode-kept"),
    ),
    "a proposal of a past configuration": (
        *("place", "current.config_version ~= proposed.config_version", "false"),
        *("config", "at configuration version"),
    ),
    "a lower limit without an end": (
        *("configure", "'over_until_ms', over and newest[2]", "'over_until_ms', nil"),
        *("config", "exposure-bounded"),
    ),
    "a changed symbol that keeps its quote": (
        *("configure", "if expires_ms then", "if false then"),
        *("config", "position-limited"),
    ),
    "a freeze that leaves the quote": (
        *("commit", "stop_quoting(symbol, 'protection')", "do end"),
        *("protect", "frozen and quoted"),
    ),
    "a bound that is one too wide": (
        *("commit", "traded > position.most_lots", "traded > position.most_lots + 1"),
        *("protect", "not frozen as it must be"),
    ),
    "a window that is one too long": (
        *("commit", "<= now - window_ms", "< now - window_ms"),
        *("protect", "not frozen as it must be"),
    ),
    "an order under another client's name": (
        *("collect", "string.match(line, '^%S+') == one.client", "true"),
        *("inbox", "collected"),
    ),
    "an inbox that keeps what was taken": (
        *("collect", "redis.call('XDEL', one.inbox, unpack(entry_ids))", "do end"),
        *("inbox", "collected"),
    ),
    "an order that is taken and not sent": (
        *("collect", "append(orders_key, own, nil)", "do end"),
        *("inbox", "collected"),
    ),
    "a refusal without a report": (
        *(
            "collect",
            "send_reports(reports_prefix, reports, keep_reports, report_idle_ms)\nreturn",
            "return",
        ),
        *("inbox", "order-once: sent"),
    ),
    "a repair by what is past": (
        *("repair", "if stored ~= found then", "if false then"),
        *("repair", "ledger-dense"),
    ),
    "more leaves the ledger than may": (
        *("trim", "text(tonumber(seq) + 1)", "text(tonumber(seq) + 1000000)"),
        *("archive", "ledger-dense"),
    ),
    "what is archived goes back": (
        *("trim", "if number < tonumber(stored_number) then", "if false then"),
        *("archive", "archived"),
    ),
    "flat and not halted": (
        *("commit", "position.net == 0 and", "position.net == 1 and"),
        *("flatten", "was to be flattened"),
    ),
    "a lot that nobody gets": (
        *("survey", "math.min(free, claim) >= lot_units", "math.min(free, claim) > lot_units"),
        *("core", "at rest"),
    ),
}
#: What is seen in a state or a call on the way; the rest is seen when the system is drained.
SEEN_ON_THE_WAY = {"gate-kept", "exposure-bounded", "exposure-exact", "order-once"} | {
    *("fills-within-quote", "out of turn"),
    *("withdrawn without a reason", "left after a withdrawal", "mode-kept"),
    *(
        "at configuration version",
        "position-limited",
        "frozen and quoted",
        "not frozen as it must be",
        "collected",
        "ledger-dense",
        "archived",
    ),
}


def test_the_normal_run_explores_ten_thousand_states() -> None:
    """The budgets of the short form and of the long one are what is promised."""
    assert sum(QUICK.values()) >= 10_000
    assert sum(FULL.values()) >= 500_000
    assert set(FULL) == set(WORLDS)


@pytest.mark.parametrize("name", QUICK)
def test_every_interleaving(name: str) -> None:
    """Every invariant holds in each state that is reached, and from each the system drains."""
    found = explore(WORLDS[name], QUICK[name])
    assert not found.violation, "\n".join([found.violation, *explained(found.spec, found.trace)])
    assert found.states >= QUICK[name] or found.complete
    assert found.transitions > found.states
    for script in script_names():
        shipped = hashlib.sha1(assembled(script).encode(), usedforsecurity=False).hexdigest()
        assert found.scripts[script] == shipped, f"{script} ran in another text than the shipped"


def test_a_world_is_explored_to_its_end() -> None:
    """A world without time, deaths or a second maker is finite, and is seen whole."""
    spec = Spec("end", tiny(), orders=(BUY,), makers=1, zombie=False, crashes=False, ticks=False)
    found = explore(spec, 100_000)
    assert not found.violation, "\n".join([found.violation, *explained(spec, found.trace)])
    assert found.complete
    assert explore(spec, 100_000).states == found.states > 50


@pytest.mark.parametrize("what", BREAKS)
def test_it_bites(what: str) -> None:
    """A broken script is found, with a trace that shows it when it is played again."""
    script, old, new, world, said = BREAKS[what]
    spec = replace(WORLDS[world], scripts=broken(script, old, new))
    found = explore(spec, 5_000)
    assert said in found.violation, found.violation
    lines = explained(spec, found.trace)
    assert bare(lines) == found.trace
    if said in SEEN_ON_THE_WAY:
        with pytest.raises(Violation, match=said):
            play(spec, lines)
    else:
        play(spec, lines)


def test_the_shortest_trace_comes_first() -> None:
    """A double execution is shown by the fewest moves that can show it, each explained in words."""
    breaking = broken("match", "outcome = key and seen[key], nil", "outcome")
    spec = replace(WORLDS["cold"], scripts=breaking)
    found = explore(spec, 5_000)
    assert found.trace == ["send 0", "again 0", "step exchange-1"]
    assert "a second time" in explained(spec, found.trace)[1]
    play(WORLDS["cold"], found.trace)


@pytest.mark.parametrize("seed", SEEDS[:1])
@pytest.mark.parametrize("name", WORLDS)
def test_the_table_is_no_illusion(backend: Backend, name: str, seed: int) -> None:
    """A random walk leads through the same states on every server, and the audit agrees."""
    spec = WORLDS[name]
    moves = random_walk(spec, seed, 60)
    client = backend.client()
    host = ServerHost(client, clock=spec.ticks, shebang=not backend.is_fake)
    compare(spec, moves, host)
    # The audit asks the server itself what time it is, and a short window lies in that time.
    # Nor is there a file where the keys say that the archive is.
    if not spec.rogue and not spec.archives and name != "window":
        assert [check for check in audit(host.scripts()).checks if not check.ok] == []
