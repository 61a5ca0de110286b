"""The tests bite: a sample of ``scripts/mutate``, and the mutants that matter most."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.hunts.mutation.catalogue import known, mutants, survivors
from tests.hunts.mutation.edit import Mutant
from tests.hunts.mutation.run import ROOT, copied, judge
from tests.kit import SEEDS
from tests.kit.commands import run_python

#: The lines that the rules rest on: file, part of the line, the line instead ("" for none).
CRUCIAL = {
    "the gate for uncommitted fills": (
        "gate",
        "elseif current.fill_seq ~= current.position_version then",
        "elseif false then",
    ),
    "the gate for stale quotes": (
        "gate",
        "elseif current.quote_version ~= proposed.quote_version then",
        "elseif false then",
    ),
    "the instant of expiry": (
        "book",
        "tonumber(expires_ms) <= now",
        "or tonumber(expires_ms) < now and 'expired' or nil",
    ),
    "the duplicate's first outcome": ("match", "if remembered then", "if false then"),
    "the order's content": ("seen", "if known == content then", "if false then"),
    "the outcome's memory": ("match", "remember(seen_prefix, bucket, window, outcomes)", ""),
    "the exchange's cursor": ("match", "redis.call('HSET', cursors_key, 'exchange'", ""),
    "the state service's cursor": ("commit", "redis.call('HSET', cursors_key, 'state'", ""),
    "the reservation by a placement": ("exposure", "adjust(keys.exposure, bid.units", ""),
    "the release by a fill": ("book", "adjust(keys.exposure, -released.sell", ""),
    "the release by the end of a quote": ("expiry", "release(keys, symbol", ""),
    "the claims of earlier waiters": ("waiting", "free = free - claim", ""),
    "the sequence of fills": ("position", "seq ~= text(version)", "elseif false then"),
}
SAMPLE = 4


def crucial(found: list[Mutant], name: str) -> Mutant:
    """The mutant that drops what the name says; fails when the scripts have no such line."""
    script, part, becomes = CRUCIAL[name]
    fitting = [
        one
        for one in found
        if Path(one.file).name == f"{script}.lua" and part in one.was and one.becomes == becomes
    ]
    assert fitting, f"{name}: no line of {script}.lua holds {part!r}: name the one that does now"
    return fitting[0]


@pytest.mark.slow
def test_mutants_are_killed() -> None:
    """Scripts without a crucial check or write, and some drawn at random, fail a script test."""
    seed = SEEDS[0]
    with copied(ROOT) as copy:
        found, listed = mutants(copy), survivors()
        chosen = {name: crucial(found, name) for name in CRUCIAL}
        others = [one for one in found if one.file.endswith(".lua") and not known(one, listed)]
        drawn = random.Random(seed).sample(others, SAMPLE)
        numbers = {one.number: one for one in [*chosen.values(), *drawn]}
        outcome = judge(list(numbers.values()), ["fast"], copy, baseline=False)
    alive = "\n".join(map(str, outcome.alive))
    assert not outcome.alive, f"no test notices (seed {seed}; scripts/mutate --only):\n{alive}"
    assert set(outcome.killers) == set(numbers)


def test_what_no_test_shows_survives() -> None:
    """A mutant that the tests at hand do not run is not called killed."""
    with copied(ROOT) as copy:
        other = crucial(mutants(copy), "the state service's cursor")
        outcome = judge([other], ["fast"], copy, False, suites=["lua/test_presence.py"])
    assert outcome.alive == [other]


def test_the_lines_that_a_test_runs_are_known() -> None:
    """On the fake server each line of a script that runs is noted, by its own file."""
    code = """
from tests.hunts.mutation.reach import Reach
from tests.kit import World, fake_backend, small_config
reach = Reach()
with fake_backend() as backend:
    World(backend, small_config()).propose()
print(*sorted(reach.lines()))
"""
    run = set(run_python(code, ROOT).split())
    assert {"setup", "place", "gate", "exposure"} <= run
    assert not {"match", "commit", "expire"} & run
