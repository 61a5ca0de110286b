"""Which tests judge a mutant, and in which order they are tried."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

#: The levels, in turn: what survives one comes to the next. All are part of the normal test run.
LEVELS = ["fast", "unit", "server"]

_SCRIPTS = [
    *["test_place.py", "test_place_queue.py", "test_commit.py", "test_headroom.py"],
    *["test_match.py", "test_match_ids.py", "test_match_malformed.py"],
    *["test_expire.py", "test_survey.py", "test_setup.py"],
    *["test_snapshot.py", "test_presence.py", "test_withdraw.py", "test_survivors.py"],
    *["test_control.py", "test_repair.py", "test_configure.py"],
    *["test_protection.py", "test_collect.py", "test_escrow.py", "test_partitions.py"],
    *["test_trim.py"],
    *["test_strategy.py", "test_exchange.py", "test_state.py", "test_maker.py"],
    *["test_process.py", "test_steps.py", "test_bad_keys.py"],
]
_REST = [
    *[
        "test_rubbish.py",
        "test_fairness.py",
        "test_audit.py",
        "test_at_rest.py",
        "test_damage.py",
        "test_client.py",
        "test_partition_client.py",
        "test_explain.py",
    ],
    "test_lives.py",
    *["test_peers.py", "test_stateful.py", "test_explorer.py", "test_fuzz.py", "test_screen.py"],
]
_SERVER = [
    *[*_SCRIPTS, "test_calls.py", "test_peers.py"],
    *["test_durability.py", "test_retrying.py", "test_clock.py"],
]
#: The suites that tell most about a file, best first.
_TELLING = {
    "match": ["match", "match_ids", "match_malformed"],
    "place": ["place", "place_queue"],
    "base": ["match", "place", "commit", "expire"],
    "book": ["match"],
    "count": ["match", "commit"],
    "damage": ["match", "place", "commit", "expire"],
    "deadletter": ["match_malformed", "match", "commit"],
    "expiry": ["expire", "place", "survey"],
    "exposure": ["place", "expire", "match", "survey"],
    "gate": ["place"],
    "headroom": ["headroom", "place"],
    "proposal": ["place"],
    "order": ["match", "match_malformed", "match_ids"],
    "position": ["commit"],
    "waiting": ["survey", "place_queue", "place", "withdraw"],
    "mode": ["control"],
    "configuration": ["configure"],
    "symbol": ["setup", "configure"],
    "protection": ["protection"],
    "operations": ["control"],
    "reports": ["match"],
    "seen": ["match_ids", "match"],
    "streams": ["match", "commit"],
    "heartbeat": ["presence"],
    "farewell": ["presence"],
    "presence": ["presence", "withdraw"],
    "strategy": ["strategy"],
    "history": ["configure"],
    "lease": ["escrow"],
    "treasury": ["escrow"],
    "found": ["escrow"],
    "rearrange": ["escrow"],
}


def level_of(item: pytest.Item) -> str:
    """The level of a test; an empty text for one that judges no mutant."""
    name = item.path.name
    if item.get_closest_marker("server"):
        # One real server is enough: where the two differ the unmutated suites say so.
        return "server" if name in _SERVER and "redis" not in item.nodeid.split("[")[-1] else ""
    if name in _SCRIPTS:
        return "fast"
    return "unit" if name in _REST else ""


def files(levels: Sequence[str], tests: Path) -> list[str]:
    """The test files that the levels need; AssertionError when one of them is not there."""
    names = list(_SCRIPTS)
    if "unit" in levels:
        names += _REST
    if "server" in levels:
        names += [name for name in _SERVER if name not in names]
    found = {name: sorted(tests.rglob(name)) for name in names}
    assert all(found.values()), [name for name, paths in found.items() if not paths]
    return [path.relative_to(tests).as_posix() for paths in found.values() for path in paths]


def rank(file: str, suite: str) -> int:
    """How early a suite is tried over a mutant of a file."""
    stem = Path(file).stem
    telling = _TELLING.get(stem, [stem] if file.endswith(".lua") else [])
    order = [f"test_{name}.py" for name in telling] + ["test_survivors.py"]
    if stem == "damage":
        order.insert(0, "test_bad_keys.py")
    if stem == "strategy":
        order.insert(0, "test_strategy.py")
    elif file.endswith(".py"):
        order[:0] = [f"test_{stem}.py", "test_steps.py", "test_process.py"]
    return order.index(suite) if suite in order else len(order)
