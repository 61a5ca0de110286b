"""Commands as a person meets them: what they answer, in words, within a stated time."""

from __future__ import annotations

import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.kit.commands import run_to_end

#: The commands that read a system and end: command -> further arguments.
READING: dict[str, list[str]] = {
    "status": [],
    "positions": [],
    "quotes": [],
    "exposure": [],
    "audit": [],
    "fills": [],
    "orders": [],
    "pnl": [],
    # A file of it is in `tests/report`; here it reads and prints.
    "report": ["--json"],
    "explain": ["AAPL"],
    "order": ["AAPL", "buy", "1", "1.00", "--timeout", "2"],
}
#: Longest wait for any answer, in seconds. A machine may be slow; hanging is what it must not be.
PATIENCE_S = 45.0
TRACE = re.compile(r"Traceback \(most recent call last\)|^\s+File \"", re.MULTILINE)
#: Whether every pair of command and place is tried.
FULL = os.environ.get("MATRIX") == "full"
#: The arguments of a command, and its further environment.
Cell = tuple[list[str], dict[str, str]]
PASSWORD = "s3cr3t-p@ss"
ENCODED = "s3cr3t-p%40ss"


@dataclass(frozen=True)
class Answer:
    """What a command did: its exit status, and its output as bytes."""

    words: tuple[str, ...]
    status: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """Both outputs."""
        return (self.out + self.err).decode("utf-8", "replace")

    def __str__(self) -> str:
        return f"mm {' '.join(self.words)} -> {self.status}\n{self.text}"


def run(*words: str, env: dict[str, str] | None = None, timeout_s: float = PATIENCE_S) -> Answer:
    """Run a command to its end; one that does not end in time fails the test."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MM_")}
    try:
        done = run_to_end(words, plain | (env or {}), timeout_s)
    except subprocess.TimeoutExpired as error:
        said = (error.stdout or b"") + (error.stderr or b"")
        pytest.fail(f"mm {' '.join(words)} did not end within {timeout_s:.0f} s; it said {said!r}")
    return Answer(words, done.returncode, done.stdout, done.stderr)


def run_all(cells: list[Cell]) -> list[Answer]:
    """Run many commands, some at the same time."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda cell: run(*cell[0], env=cell[1]), cells))


def assert_words(answer: Answer, *allowed: int) -> None:
    """An allowed exit status, no traceback, no secret; a failure says why in a line of its own."""
    # Nothing goes wrong with an order of which nothing is filled.
    unfilled = answer.words[0] == "order" and 0 in allowed and answer.status == 3
    assert answer.status in allowed or unfilled, answer
    assert not TRACE.search(answer.text), answer
    assert PASSWORD not in answer.text and ENCODED not in answer.text, answer
    if answer.status and not answer.out:
        assert re.search(r"^(mm: |Error: )\S", answer.err.decode("utf-8", "replace"), re.M), answer


def reading(where: list[str], **env: str) -> list[Cell]:
    """A cell for each reading command on one system."""
    return [([name, *words, *where], env) for name, words in READING.items()]


def some(cells: list[Cell], turn: int, of: int) -> list[Cell]:
    """Every ``of``-th cell, another share each turn; all of them in the full matrix."""
    return cells if FULL else cells[turn % of :: of]
