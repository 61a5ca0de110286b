"""A whole `mm up` as a subprocess: nothing of it outlives the test process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import redis

from mm.audit import audit
from mm.audit.invariants import Audit
from mm.errors import SystemRefused
from mm.facts import status_facts
from mm.host import DataDir
from mm.store import Keys, Scripts, open_client, take_snapshot
from tests.kit.backends import wait_for
from tests.kit.commands import MM


def publishers(data_dir: Path) -> dict[str, int]:
    """The pids of the publishers of a data directory, by name; they have no heartbeats."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_text(errors="replace").split("\0")
        except OSError:
            continue
        if "publisher" in words and "--id" in words and str(data_dir) in words:
            number = words[words.index("--id") + 1]
            found[f"publisher-{number}"] = int(path.parent.name)
    return found


class RunningSystem:
    """A data directory of its own, and the `mm up` that runs on it now."""

    def __init__(self) -> None:
        self.data_dir = Path(tempfile.mkdtemp(prefix="mm-"))
        self.process: subprocess.Popen[str] | None = None
        # The write end of this pipe dies with the test process, and `mm up` with it.
        self.leash, self._hold = os.pipe()

    def start(self, *arguments: str, rate: int = 150, trading: bool = True) -> None:
        """Start `mm up --headless`, and wait until all is live and it trades.

        With ``trading`` False it does not wait. It trades while a process has yet to join, and one
        that has not joined has no pid that a test could kill.
        """
        self.process = subprocess.Popen(
            [
                *(*MM, "up", "--headless", "--rate", str(rate)),
                *("--data-dir", str(self.data_dir), *arguments),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"MM_LEASH_FD": str(self.leash), "MM_LEASH_SERVER": ""},
            pass_fds=(self.leash,),
        )
        if trading:
            wait_for("a server", self.status, 30)
            self.all_live()
            self.trades_on(30)

    def all_live(self) -> None:
        """Wait until every process has joined and is heard of."""

        def live() -> bool:
            rows = self.status().get("processes", [])
            return {row["state"] for row in rows if row["kind"] != "client"} == {"live"}

        wait_for("all processes", live, 30)

    def start_beside(self, *kinds: str) -> list[subprocess.Popen[bytes]]:
        """Start a second process of each kind by hand, with the id 2."""
        return [
            subprocess.Popen(
                [*MM, kind, "--id", "2", "--data-dir", str(self.data_dir)],
                env=os.environ | {"MM_LEASH_FD": str(self.leash), "MM_LEASH_SERVER": ""},
                pass_fds=(self.leash,),
            )
            for kind in kinds
        ]

    def audit(self) -> Audit:
        """The audit of the running system."""
        return audit(self.scripts())

    def status(self) -> dict[str, Any]:
        """The facts of `mm status --json`, read directly; empty while no server answers."""
        try:
            facts: dict[str, Any] = status_facts(take_snapshot(self.scripts()))
        except (redis.exceptions.ConnectionError, SystemRefused):
            return {}
        return facts

    def scripts(self) -> Scripts:
        """The scripts on a new client of the system's server."""
        return Scripts(open_client(DataDir(self.data_dir).url), Keys())

    def pids(self) -> dict[str, int]:
        """The pids of the children by name: from their heartbeats, and those of the publishers."""
        rows = self.status().get("processes", [])
        found = {
            row["name"]: int(row["pid"])
            for row in rows
            if row["kind"] != "up" and row["pid"] is not None
        }
        return publishers(self.data_dir) | found

    def server_pid(self) -> int:
        """The server's pid."""
        return int((self.data_dir / "server.pid").read_text())

    def trades_on(self, timeout_s: float = 20) -> None:
        """Wait until more orders are matched and more fills committed than now."""
        now = self.status()
        wait_for(
            "further trading",
            lambda: (
                (later := self.status()).get("orders", 0) > now.get("orders", 0)
                and later.get("fills_committed", 0) > now.get("fills_committed", 0)
            ),
            timeout_s,
        )

    def stop(self) -> tuple[int, str]:
        """Interrupt `mm up` as Ctrl-C does; its exit status and its whole output."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        output, _ = self.process.communicate(timeout=60)
        code = self.process.returncode
        self.process = None
        return code, output

    def wait(self) -> tuple[int, str]:
        """Wait for `mm up` to end by itself; its exit status and its whole output."""
        assert self.process is not None
        output, _ = self.process.communicate(timeout=120)
        code = self.process.returncode
        self.process = None
        return code, output

    def kill(self) -> None:
        """Kill `mm up` itself with -9."""
        assert self.process is not None
        self.process.kill()
        self.process.communicate()
        self.process = None

    def close(self) -> None:
        """Stop `mm up` if it runs, and remove the data."""
        if self.process is not None:
            self.stop()
        os.close(self._hold)
        os.close(self.leash)
        shutil.rmtree(self.data_dir, ignore_errors=True)
