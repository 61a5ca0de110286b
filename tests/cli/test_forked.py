"""Commands that the tests fork do what commands in an interpreter of their own do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit import wait_for
from tests.kit.commands import MM, alive, forker

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("line", ["--version", "status --help", "no-such", "status", "audit --x"])
def test_they_answer_alike(line: str, tmp_path: Path) -> None:
    """Exit status and both outputs are the same, byte for byte, in another environment too."""
    environment = os.environ | {"COLUMNS": "50", "MM_DATA_DIR": str(tmp_path / "none")}
    forked = forker().run(line.split(), environment, 60)
    own = subprocess.run(
        [*MM, *line.split()],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env=environment,
        timeout=60,
        check=False,
    )
    assert forked is not None
    assert (forked.returncode, forked.stdout, forked.stderr) == (
        own.returncode,
        own.stdout,
        own.stderr,
    )


@pytest.mark.parametrize("name", ["PYTHONIOENCODING", "LC_ALL", "TZ"])
def test_what_python_reads_needs_a_start(name: str) -> None:
    """Where the environment of Python is another one, none is forked."""
    assert forker().run(["--version"], os.environ | {name: "other"}, 60) is None


def test_one_that_hangs_is_killed(tmp_path: Path) -> None:
    """It ends at the time that is given, with what it has said until then."""
    words = ["exchange", "--data-dir", str(tmp_path)]
    with pytest.raises(subprocess.TimeoutExpired) as ended:
        forker().run(words, os.environ, 5)
    assert b"waiting, for ever: no server answers" in (ended.value.stderr or b"")


def test_it_ends_with_its_maker() -> None:
    """The process that has loaded all modules does not outlive a test run that is killed."""
    code = (
        "import os, signal; from tests.kit.forked import Forker; made = Forker();"
        "print(made._process.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == -9, done.stderr
    wait_for("its end", lambda: not alive(int(done.stdout)))
