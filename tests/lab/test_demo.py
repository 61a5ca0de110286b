"""``scripts/demo-recovery`` without a terminal: its facts hold, and it leaves nothing behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit import wait_for
from tests.kit.commands import alive

pytestmark = [pytest.mark.server, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
DEMO = "mm.lab.demo"


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory for temporary files, of a short path since a socket will be in it."""
    made = Path(tempfile.mkdtemp(prefix="mm-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


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


def left(place: Path, said: str) -> list[object]:
    """What a demonstration has left behind: files, and processes of those that it named."""
    pids = {
        int(pid) for pid in re.findall(r"pid ([0-9]+)|kill -9 ([0-9]+)", said) for pid in pid if pid
    }
    return [*(place / "tmp").iterdir(), *filter(alive, pids)]


def test_every_fact_holds(place: Path) -> None:
    """All scenes play, the story tells what led to what, and the audit at the end is clean."""
    demo = begin(place)
    status = demo.wait(240)
    said = (place / "out").read_text()
    assert status == 0, said
    for number in range(1, 7):
        assert f"─ {number}. " in said
    assert "AAPL-1 granted to maker-1" in said
    assert "not committed yet" in " ".join(said.split())
    assert len(re.findall(r"duplicate +│ True", said)) == 2
    assert re.search(r"AAPL-[0-9]+ expired [0-9.]+ s after it was placed", said)
    assert "audit: ok" in said
    assert "All facts held" in said
    assert not left(place, said)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing(place: Path, number: signal.Signals) -> None:
    """Ctrl-C in the middle ends the market that it started and removes its directory."""
    demo = begin(place)
    out = place / "out"
    wait_for("the market", lambda: "started maker" in out.read_text(), 60)
    demo.send_signal(number)
    assert demo.wait(60) == 130
    said = out.read_text()
    assert "interrupted" in said
    assert not left(place, said)


def test_the_command_runs_the_demonstration() -> None:
    """scripts/demo-recovery sets itself up as the other scripts do and runs this program."""
    text = (ROOT / "scripts" / "demo-recovery").read_text()
    assert "common.sh" in text
    assert f"exec .venv/bin/python -m {DEMO}" in text
    assert os.access(ROOT / "scripts" / "demo-recovery", os.X_OK)
