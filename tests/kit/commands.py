"""Commands and other programs as processes of their own, run to their end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mm.cli import main
from tests.kit.forked import Forker

MM = [sys.executable, "-m", "mm"]


@cache
def forker() -> Forker:
    """The process of this one from which commands are forked."""
    return Forker()


def run_to_end(
    words: Sequence[str], environment: Mapping[str, str], timeout_s: float
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end, without input; TimeoutExpired when it hangs."""
    done = forker().run(words, environment, timeout_s)
    if done is not None:
        return done
    return subprocess.run(
        [*MM, *words],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=timeout_s,
        check=False,
        env=environment,
    )


def run_mm(
    *arguments: str,
    data_dir: Path | None = None,
    timeout_s: float = 120,
    environment: Mapping[str, str] = os.environ,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; its CompletedProcess with text output."""
    where = [] if data_dir is None else ["--data-dir", str(data_dir)]
    done = run_to_end([*arguments, *where], environment, timeout_s)
    texts = (one.decode() for one in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, *texts)


#: How often a command is run again because it ended before the stage was seen.
TRIES = 20


def signalled_at(
    words: list[str], stage: Callable[[], object], number: int, again: Callable[[], object]
) -> subprocess.CompletedProcess[str]:
    """What a command comes to whose process gets the signal as soon as the stage is true.

    On a busy machine a command may be over before anyone looks. Then ``again`` takes back what it
    made, and it runs once more.
    """
    for _ in range(TRIES):
        with subprocess.Popen(
            [*MM, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            while not stage() and process.poll() is None:
                time.sleep(0.0005)
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
        if process.returncode:
            return subprocess.CompletedProcess(words, process.returncode, "", said)
        again()
    pytest.fail(f"{words[0]} ended {TRIES} times before the stage was seen: {said}")


def alive(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def run_python(code: str, directory: Path | None = None) -> str:
    """What Python code prints in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_after(code: str) -> set[str]:
    """The modules that an interpreter has loaded after running the code."""
    return set(run_python(f"{code}\nimport sys\nprint(*sys.modules)").split())


def invoke(*words: str | Path) -> Result:
    """A command of the command line, run in this process."""
    return CliRunner().invoke(main, list(map(str, words)))


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Let a process answer nobody inside the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
