"""A data directory has one owner at a time."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mm.errors import SystemRefused
from mm.host import DataDir, Lock


@pytest.mark.slow
def test_two_owners_of_one_directory(tmp_path: Path) -> None:
    """The second is refused with the first one's pid, and gets in when that one has died."""
    directory = DataDir(tmp_path / "d")
    directory.prepare()
    held = "import sys,time; from pathlib import Path; from mm.host import *\n"
    held += "lock = Lock(DataDir(Path(sys.argv[1]))); print('held', flush=True); time.sleep(60)"
    command = [sys.executable, "-c", held, str(directory.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline() == "held\n"
            with pytest.raises(SystemRefused, match=f"pid {owner.pid}"):
                Lock(directory)
            up = [sys.executable, "-m", "mm", "up", "--headless", "--data-dir", str(directory.path)]
            second = subprocess.run(up, capture_output=True, text=True, check=False, timeout=30)
            assert second.returncode != 0
            assert f"pid {owner.pid}" in second.stderr
            assert "Traceback" not in second.stderr
            assert not directory.socket.exists()
        finally:
            owner.kill()
    Lock(directory).__exit__(None, None, None)


def test_two_at_the_same_moment(tmp_path: Path) -> None:
    """Of many that ask for the directory at once exactly one gets it."""
    directory = DataDir(tmp_path / "d")
    directory.prepare()
    held: list[Lock] = []
    gate = threading.Barrier(8)

    def ask() -> None:
        gate.wait()
        try:
            held.append(Lock(directory))
        except SystemRefused:
            return

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(held) == 1
    held[0].__exit__(None, None, None)
