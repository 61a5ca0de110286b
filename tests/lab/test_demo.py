"""``scripts/demo-recovery`` without a terminal: its facts hold, and it leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mm.interrupts import SIGNALS
from tests.kit import short_directory, wait_for
from tests.kit.commands import alive

pytestmark = [pytest.mark.server, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
DEMO = "mm.lab.demo"


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory for temporary files, of a short path since a socket will be in it."""
    with short_directory() as made:
        yield made


def begin(place: Path) -> subprocess.Popen[str]:
    """Start the demonstration, its output in a file, all its temporary files under ``place``."""
    (place / "tmp").mkdir()
    with (place / "out").open("w") as out:
        return subprocess.Popen(
            [sys.executable, "-m", DEMO],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"TMPDIR": str(place / "tmp"), "COLUMNS": "100"},
        )


def left(place: Path, printed: str) -> list[object]:
    """What a demonstration has left behind: files, and processes of those that it named."""
    pids = set(map(int, re.findall(r"(?:pid|kill -9) ([0-9]+)", printed)))
    return [*(place / "tmp").iterdir(), *filter(alive, pids)]


def test_every_fact_holds(place: Path) -> None:
    """All scenes play, `mm explain` shows the cause of each step, and the last audit is clean."""
    demo = begin(place)
    status = demo.wait(240)
    printed = (place / "out").read_text()
    assert status == 0, printed
    for number in range(1, 7):
        assert f"─ {number}. " in printed
    # A slow start has the first quote refreshed, and then the order meets a later one. However
    # often it is refreshed after the order too, the story of the fill begins with what it met.
    met = re.search(r"order you/one, fill AAPL-1 of quote (AAPL-[0-9]+)", printed)
    assert met is not None and f"{met[1]} granted to maker-1" in printed
    assert "not committed yet" in " ".join(printed.split())
    assert printed.count("sent before: this is its first outcome") == 2
    assert re.search(r"AAPL-[0-9]+ expired [0-9.]+ s after it was placed", printed)
    assert "audit: ok" in printed
    assert "All facts held" in printed
    assert not left(place, printed)


@pytest.mark.parametrize("number", SIGNALS)
def test_interrupted_it_leaves_nothing(place: Path, number: signal.Signals) -> None:
    """A signal in the middle ends the market that it started and removes its directory."""
    demo = begin(place)
    out = place / "out"
    wait_for("the market", lambda: "started maker" in out.read_text(), 60)
    demo.send_signal(number)
    assert demo.wait(60) == 128 + number
    printed = out.read_text()
    assert f"ended by {number.name}: everything was ended" in printed
    assert not left(place, printed)


def test_the_command_runs_the_demonstration() -> None:
    """scripts/demo-recovery sets itself up as the other scripts do and runs this program."""
    text = (ROOT / "scripts" / "demo-recovery").read_text()
    assert "common.sh" in text
    assert f"exec .venv/bin/python -m {DEMO}" in text
    assert os.access(ROOT / "scripts" / "demo-recovery", os.X_OK)
