"""The command line of the mutation run, and the session that it starts."""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.hunts.mutation.catalogue import Survivor, known, mutants, select, survivors
from tests.hunts.mutation.edit import Mutant
from tests.hunts.mutation.suites import LEVELS, files

ROOT = Path(__file__).resolve().parents[3]
_COPIED = ["mm", "tests", "docs", "scripts", "pyproject.toml", "README.md", "CHANGELOG.md"]


def say(text: str) -> None:
    """A line on the terminal, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@dataclass
class Outcome:
    """What a run found: the killing test by mutant number, and who is left."""

    killers: dict[int, str] = field(default_factory=dict)
    alive: list[Mutant] = field(default_factory=list)
    red: list[str] = field(default_factory=list)
    seconds: float = 0.0


@contextmanager
def copied(root: Path) -> Iterator[Path]:
    """A copy of the repository to change; other work on the original does not disturb the run."""
    with tempfile.TemporaryDirectory(prefix="mm-mutate-") as name:
        copy = Path(name) / "repository"
        copy.mkdir()
        hidden = shutil.ignore_patterns("__pycache__", ".*")
        for part in _COPIED:
            source = root / part
            if source.is_dir():
                shutil.copytree(source, copy / part, ignore=hidden)
            elif source.exists():
                shutil.copy(source, copy / part)
        (Path(name) / "tmp").mkdir()
        yield copy


def judge(
    chosen: Sequence[Mutant],
    levels: Sequence[str],
    copy: Path,
    baseline: bool,
    heard: Callable[[dict[str, Any]], None] = lambda event: None,
    suites: Sequence[str] | None = None,
) -> Outcome:
    """Run the levels' tests over the mutants of a copy, until each is killed or has survived all.

    With ``baseline`` the tests run once without a mutant first, which gives their order and sets
    red ones aside; without it a test is tried alone after its first kill. ``suites`` names the
    test files where not all of the levels' are wanted.
    """
    began = time.monotonic()
    outcome = Outcome(alive=list(chosen))
    by_number = {one.number: one for one in chosen}
    reading, writing = os.pipe()
    job = {
        "root": str(copy),
        "mutants": list(by_number),
        "levels": list(levels),
        "baseline": baseline,
        "events": writing,
    }
    path = copy.parent / "job.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    names = [f"tests/{name}" for name in suites or files(levels, copy / "tests")]
    environment = os.environ | {
        "PYTHONPATH": str(copy),
        "PYTHONDONTWRITEBYTECODE": "1",
        "MM_MUTATION_JOB": str(path),
        "TMPDIR": str(copy.parent / "tmp"),
    }
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_ADDOPTS", "CI"):
        environment.pop(name, None)
    words = [*["-m", "pytest", "-p", "tests.hunts.mutation.plugin", "-p", "no:xdist", "-s"], *names]
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=copy,
        env=environment,
        pass_fds=[writing],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    os.close(writing)
    with os.fdopen(reading) as events:
        for line in events:
            event = json.loads(line)
            if event["event"] == "mutant" and event["killer"]:
                outcome.killers[event["number"]] = event["killer"]
                outcome.alive.remove(by_number[event["number"]])
            elif event["event"] == "red":
                outcome.red.append(event["test"])
            elif event["event"] == "baseline":
                outcome.red += event["red"]
            heard(event)
    said, _ = process.communicate()
    if process.returncode not in (0, 5) or (chosen and "error" in said.lower()):
        raise SystemExit(f"the tests could not be collected or run:\n{said}")
    outcome.seconds = time.monotonic() - began
    return outcome


def _progress(found: Sequence[Mutant], verbose: bool) -> Callable[[dict[str, Any]], None]:
    by_number = {one.number: one for one in found}

    def heard(event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "mutant":
            if event["killer"] is None:
                say(f"alive after {event['level']}: {by_number[event['number']]}")
            elif verbose:
                said = f"by {event['killer']} in {event['seconds']:.1f} s"
                say(f"killed {by_number[event['number']]}\n    {said}")
        elif kind == "baseline":
            say(
                f"{event['level']}: {event['tests']} tests, {len(event['red'])} red,"
                f" {event['seconds']:.0f} s without a mutant"
            )
        elif kind == "red":
            say(f"set aside, red without a mutant: {event['test']}")
        else:
            say(f"the run without a mutant broke in {event['level']}: {event['why']}")

    return heard


def _summary(chosen: Sequence[Mutant], outcome: Outcome, listed: Sequence[Survivor]) -> int:
    """Print the figures and who is left; the number of survivors that are not listed."""
    for language, suffix in (("Lua", ".lua"), ("step code", ".py")):
        own = [one for one in chosen if one.file.endswith(suffix)]
        alive = [one for one in outcome.alive if one.file.endswith(suffix)]
        if own:
            rate = 100 * (len(own) - len(alive)) / len(own)
            say(f"{language}: {len(own)} mutants, {len(own) - len(alive)} killed ({rate:.1f} %)")
            kinds = Counter(one.edit.kind for one in own)
            left = Counter(one.edit.kind for one in alive)
            say("  " + ", ".join(f"{kind} {n - left[kind]}/{n}" for kind, n in kinds.items()))
    timeouts = sum("(timeout)" in killer for killer in outcome.killers.values())
    say(f"{timeouts} of the killed ran for too long; {outcome.seconds:.0f} s in all")
    unlisted = 0
    for mutant in outcome.alive:
        survivor = known(mutant, listed)
        unlisted += survivor is None
        say(f"survivor {mutant}\n    {survivor.reason if survivor else 'NOT LISTED'}")
    for killed in chosen:
        if killed.number in outcome.killers and known(killed, listed):
            say(f"listed as a survivor, yet killed: {killed}\n{outcome.killers[killed.number]}")
    return unlisted


def _listing(listed: Sequence[Survivor]) -> str:
    """The known survivors as Markdown: each reason, and the changes that it holds for."""
    by_reason: dict[str, list[str]] = {}
    for one in listed:
        change = f"- `{Path(one.file).name}`: `{one.was}` → `{one.becomes}`"
        by_reason.setdefault(one.reason, []).append(change)
    return "\n\n".join(f"{why}\n\n" + "\n".join(lines) for why, lines in by_reason.items())


def _stale(found: Sequence[Mutant], listed: Sequence[Survivor]) -> None:
    keys = {(one.file, one.was, one.becomes) for one in found}
    for survivor in listed:
        if (survivor.file, survivor.was, survivor.becomes) not in keys:
            say(f"listed, but no mutant any more: {survivor.file}: {survivor.becomes}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 1 when a mutant survives that is not listed in survivors.toml."""
    parser = argparse.ArgumentParser(prog="scripts/mutate", description=__doc__)
    parser.add_argument("--list", action="store_true", help="print the mutants and run nothing")
    parser.add_argument(
        "--survivors", action="store_true", help="print the known survivors as Markdown"
    )
    parser.add_argument("--only", help="FILE, FILE:LINE or #NUMBER")
    parser.add_argument("--lua", action="store_true", help="the scripts only")
    parser.add_argument("--python", action="store_true", help="the step code only")
    parser.add_argument("--sample", type=int, help="this many, drawn with the seed")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument(
        "--level", choices=LEVELS, default="server", help="how far a survivor is pursued"
    )
    parser.add_argument("--verbose", action="store_true", help="print the test that killed each")
    options = parser.parse_args(arguments)
    if options.survivors:
        say(_listing(survivors()))
        return 0
    with copied(ROOT) as copy:
        found = mutants(copy)
        listed = survivors()
        chosen = select(found, options.only) if options.only else found
        if options.lua or options.python:
            suffix = ".lua" if options.lua else ".py"
            chosen = [one for one in chosen if one.file.endswith(suffix)]
        if options.sample is not None:
            say(f"seed {options.seed}")
            drawn = random.Random(options.seed).sample(chosen, min(options.sample, len(chosen)))
            chosen = sorted(drawn, key=lambda one: one.number)
        if options.list:
            say("\n".join(map(str, chosen)))
            return 0
        if not chosen:
            parser.error("no such mutant")
        levels = LEVELS[: LEVELS.index(options.level) + 1]
        baseline = len(chosen) > 50
        outcome = judge(chosen, levels, copy, baseline, _progress(found, options.verbose))
        _stale(found, listed)
        return 1 if _summary(chosen, outcome, listed) else 0
