"""The runs of the ordinary alternatives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from mm.lab.bench.sections import rivals
from mm.lab.bench.world import World
from tests.kit import small_config, wait_for
from tests.kit.commands import alive

#: A rival that is deaf to Ctrl-C, and writes its pid into a file.
DEAF = """
import os, pathlib, signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
time.sleep(600)
"""


class OnlyConfig:
    """What a rival needs of a world that it leaves alone."""

    config = small_config()


def test_a_deaf_rival_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the bench is broken off, a rival that does not end after Ctrl-C is killed."""
    pid = tmp_path / "pid"
    monkeypatch.setattr(rivals, "ENDING_S", 0.1)
    monkeypatch.setattr(
        rivals, "module_command", lambda name: [sys.executable, "-c", DEAF, str(pid)]
    )

    def break_off(process: subprocess.Popen[str], *_: Any, **__: Any) -> tuple[str, str]:
        wait_for("the rival", lambda: pid.exists() and pid.read_text())
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", break_off)
    with pytest.raises(KeyboardInterrupt):
        rivals._run_rival(cast(World, OnlyConfig()), "deaf", False, 1, 1)
    assert not alive(int(pid.read_text()))
