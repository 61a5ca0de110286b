"""Compares two commits: their own benches in turns, so that a gain is a ratio pair by pair."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mm.host import exit_reason, module_command, module_environment
from mm.lab.bench.checkout import Tree, checked_out, own_tree
from mm.lab.bench.compare import Comparison
from mm.lab.bench.options import QUICK, Size
from mm.lab.bench.sections.start import measure_start_of

BASE, CHANGE = "base", "change"
#: The time that a bench gets to stop its system when the comparison is broken off.
STOP_S = 30.0
#: A bench's exit status when it does not know what it was asked for.
USAGE_STATUS = 2


@dataclass(frozen=True)
class AgainstOptions:
    """What to compare: ``pairs`` runs of each section by both trees.

    ``words`` are further arguments of every bench, ``minutes`` the length of section sustained.
    ``say`` gets what is run as it begins.
    """

    revision: str
    pairs: int
    sections: Sequence[str]
    words: Sequence[str]
    minutes: float
    say: Callable[[str], None]


def run_against(options: AgainstOptions) -> Comparison:
    """Run both benches section by section, in turns; the base goes first in every other pair.

    A bench that fails is a problem of the comparison, and the next one follows. UsageError when
    the revision is unknown, or this is no git checkout.
    """
    change = own_tree()
    with checked_out(options.revision) as base:
        comparison = Comparison(base.commit, change.commit, options.pairs)
        trees = {BASE: base, CHANGE: change}
        for section in options.sections:
            words = ["--only", section, *options.words]
            if section == "sustained":
                words += ["--minutes", str(options.minutes)]
            known = True
            for pair in range(options.pairs):
                for side in (BASE, CHANGE) if pair % 2 == 0 else (CHANGE, BASE):
                    options.say(f"{section}, pair {pair + 1} of {options.pairs}, {side}")
                    # Without one of the two there is no ratio, so the other is left out too.
                    if known:
                        known = _measure(comparison, trees[side], (side, section, pair), words)
    if not any(one.ratios for one in comparison.figures()):
        comparison.problems.append("no figure was measured by both")
    return comparison


def _measure(
    comparison: Comparison, tree: Tree, run: tuple[str, str, int], words: Sequence[str]
) -> bool:
    """Run a bench once; False when it does not know the section, which is a note then.

    Of a tree whose bench does not know section start this bench measures the starts.
    """
    side, section, pair = run
    done = _run_bench(tree, words)
    last = done.stderr.strip().splitlines()[-1:] or ["it printed nothing"]
    try:
        result: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        if done.returncode == USAGE_STATUS and section == "start":
            starts = (QUICK if "--quick" in words else Size()).starts
            figures = [one.as_dict() for one in measure_start_of(tree.path, starts)]
            note = f"start: the {side} has no such section: this bench measures it"
            comparison.add(side, section, pair, {"figures": figures, "notes": [note]})
            return True
        if done.returncode == USAGE_STATUS:
            comparison.notes.append(f"{section}: the {side} has no such section: {last[0]}")
            return False
        why = exit_reason(done.returncode)
        comparison.problems.append(f"{section}, pair {pair + 1}: {side}: {why}: {last[0]}")
        return True
    comparison.add(side, section, pair, result)
    return True


def _run_bench(tree: Tree, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a tree's own bench to its end; it is stopped in order when this process must end."""
    environment = module_environment()
    others = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = os.pathsep.join([str(tree.path), *([others] if others else [])])
    command = [*module_command("mm"), "bench", *words, "--repeats", "1", "--json"]
    # It runs in the tree, because the children of some earlier commits look for the package
    # there. It has a session of its own, so that Ctrl-C reaches this process alone.
    with subprocess.Popen(
        command,
        cwd=tree.path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            out, errors = process.communicate()
        except BaseException:
            _stop(process)
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, errors)


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
