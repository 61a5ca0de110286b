"""``mm up``: the server, all processes and the live view, as one thing that can be stopped."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live

from mm.audit import audit
from mm.errors import SystemRefused, Unavailable
from mm.host import (
    FIRST_DELAY_S,
    LAST_DELAY_S,
    DataDir,
    Lock,
    ManagedServer,
    Supervisor,
    find_binary,
)
from mm.market import Config, Durability, default_config
from mm.store import Keys, Scripts, Snapshot, check_durability, read_config, server_info
from mm.terminal import (
    FRAME_S,
    History,
    SnapshotSource,
    Supervision,
    audit_table,
    market_screen,
    positions_table,
    status_line,
)

STATUS_S = 2.0
#: How long the end of a run waits for all orders and fills to be processed.
DRAIN_S = 10.0


@dataclass(frozen=True)
class UpOptions:
    """What ``mm up`` is to run; ``rate`` is orders per second over all publishers."""

    data_dir: DataDir
    keys: Keys
    config: Config | None = None
    redis_url: str | None = None
    server: str | None = None
    makers: int = 2
    publishers: int = 1
    rate: float = 50.0
    duration_s: float | None = None
    headless: bool = False
    tape: Path | None = None
    speed: float = 1.0
    seed: int = 1
    durability: Durability | None = None


class Up:
    """One run of ``mm up``: build with options, then :meth:`run`."""

    def __init__(self, options: UpOptions, console: Console) -> None:
        self.options = options
        self.console = console
        self.url = options.redis_url or options.data_dir.url
        self.supervisor = Supervisor(
            options.data_dir.logs, "" if options.redis_url else options.data_dir.url
        )
        self.server: ManagedServer | None = None
        self._server_delay = FIRST_DELAY_S
        self._server_due = 0.0
        self.history = History()

    def run(self, stop: threading.Event) -> int:
        """Run until ``stop`` is set, the duration is over or the publishers have finished.

        Returns the exit status: 0, or 1 when the final audit finds a violation.
        """
        options = self.options
        options.data_dir.prepare()
        with Lock(options.data_dir), self._serving():
            reader = SnapshotSource(self.url, options.keys)
            self._set_up(reader.scripts)
            if self.server is not None and self.server.unclean:
                self._check_loaded(reader.scripts)
            self._start_children()
            began = time.monotonic()
            try:
                self._watch(reader, stop)
                self._end_trading(reader)
            finally:
                self.supervisor.close()
            return self._tell(reader, time.monotonic() - began)

    @contextlib.contextmanager
    def _serving(self) -> Iterator[None]:
        if self.options.redis_url is None:
            binary = find_binary(self.options.server)
            self.server = ManagedServer(self.options.data_dir, binary, self._say)
            self.server.start()
        try:
            yield
        finally:
            if self.server is not None:
                self.server.stop()

    def _say(self, text: str) -> None:
        self.supervisor.note(text)
        if not self._has_screen:
            self.console.print(text, highlight=False)

    @property
    def _has_screen(self) -> bool:
        return self.console.is_terminal and not self.options.headless

    def _set_up(self, scripts: Scripts) -> None:
        """Check the server and create the keys, or check that they hold this configuration."""
        info = server_info(scripts.client)
        config = self.options.config or read_config(scripts) or default_config()
        check_durability(info, self.options.durability or config.durability)
        scripts.setup(config)

    def _check_loaded(self, scripts: Scripts) -> None:
        """Audit what a server that was not stopped in order has loaded, before anyone trades on it.

        A log that the disk has damaged may load and yet say something else. SystemRefused then.
        """
        self._say("the server was not stopped in order: what it has loaded is audited first")
        while scripts.expire().more:
            pass
        result = audit(scripts)
        if not result.ok:
            broken = [check for check in result.checks if check.violations]
            raise SystemRefused(
                f"data directory {self.options.data_dir.path}: after an unclean stop the audit"
                f" finds {', '.join(check.name for check in broken)}: {broken[0].violations[0]}."
                " Nothing was started. Restore the directory from a backup, or use another"
                " --data-dir."
            )
        self._say("the audit is clean")

    def _start_children(self) -> None:
        options = self.options
        where = ["--data-dir", str(options.data_dir.path), "--prefix", options.keys.prefix]
        if options.redis_url:
            where += ["--redis-url", options.redis_url]
        if options.durability:
            where += ["--durability", options.durability]
        self.supervisor.add("exchange-1", "exchange", "--id", "1", *where)
        self.supervisor.add("state-1", "state", "--id", "1", *where)
        for number in range(1, options.makers + 1):
            self.supervisor.add(f"maker-{number}", "maker", "--id", str(number), *where)
        publishers = min(options.publishers, 1) if options.tape else options.publishers
        for number in range(1, publishers + 1):
            flow = [
                "--rate",
                f"{options.rate / publishers:g}",
                "--seed",
                str(options.seed + number - 1),
            ]
            if options.tape:
                flow = ["--tape", str(options.tape), "--speed", f"{options.speed:g}"]
            name = f"publisher-{number}"
            self.supervisor.add(name, "publisher", "--id", str(number), *flow, *where)

    def _watch(self, reader: SnapshotSource, stop: threading.Event) -> None:
        ends = None
        if self.options.duration_s is not None:
            ends = time.monotonic() + self.options.duration_s
        next_status = 0.0
        with self._screen() as live:
            while not stop.wait(FRAME_S):
                self._tick()
                if ends is not None and time.monotonic() >= ends:
                    return
                if self.supervisor.finished("publisher"):
                    return
                found = reader.snapshot()
                if found is not None:
                    self.history.add(found)
                if live is not None:
                    self._draw(live, reader, found)
                elif time.monotonic() >= next_status:
                    next_status = time.monotonic() + STATUS_S
                    self._print_status(reader, found)

    @contextlib.contextmanager
    def _screen(self) -> Iterator[Live | None]:
        if not self._has_screen:
            yield None
            return
        with Live(console=self.console, screen=True, auto_refresh=False) as live:
            yield live

    def _supervision(self, reader: SnapshotSource) -> Supervision:
        notes = tuple(self.supervisor.notes)
        managed = self.server is not None
        return reader.supervision(notes, self.supervisor.restarts, managed)

    def _draw(self, live: Live, reader: SnapshotSource, found: Snapshot | None) -> None:
        if found is None:
            live.update(reader.apology(), refresh=True)
            return
        size = self.console.size
        shown = market_screen(
            found, self.history, self._supervision(reader), size.width, size.height
        )
        live.update(shown, refresh=True)

    def _print_status(self, reader: SnapshotSource, found: Snapshot | None) -> None:
        if found is None:
            line = reader.apology().plain
        else:
            line = status_line(found, self.history, self._supervision(reader))
        self.console.print(line, highlight=False, soft_wrap=True)

    def _tick(self) -> None:
        self.supervisor.tick()
        server = self.server
        if server is None or server.running or time.monotonic() < self._server_due:
            return
        self._say("the server died, restarting it")
        try:
            server.start()
            self._server_delay = FIRST_DELAY_S
        except SystemRefused as error:
            self._server_delay = min(2 * self._server_delay, LAST_DELAY_S)
            self._server_due = time.monotonic() + self._server_delay
            self._say(f"the server does not start, trying again for ever: {error}")

    def _end_trading(self, reader: SnapshotSource) -> None:
        """Stop the publishers, let everything settle, then stop the rest."""
        self.supervisor.stop("publisher")
        deadline = time.monotonic() + DRAIN_S
        while time.monotonic() < deadline:
            found = reader.snapshot(recent=0)
            if found is not None and not any(found.lag_ms.values()):
                break
            self._tick()
            time.sleep(0.05)
        for prefix in ("maker", "exchange", "state"):
            self.supervisor.stop(prefix)

    def _tell(self, reader: SnapshotSource, elapsed_s: float) -> int:
        """Say what happened, and audit."""
        console = self.console
        found = reader.snapshot(most=0)
        if found is None:
            raise Unavailable(f"no account of the run can be given: {reader.trouble}")
        self.history.add(found)
        console.print(positions_table(found))
        for path in sorted(self.options.data_dir.logs.glob("publisher-*.out")):
            if path.stem in self.supervisor.children:
                console.print(path.read_text(encoding="utf-8", errors="replace").strip())
        for note in self.supervisor.notes:
            console.print(note, highlight=False, markup=False)
        result = audit(reader.scripts, quiescent=True)
        console.print(audit_table(result))
        console.print(
            f"ran {elapsed_s:.0f} s; data and logs in {self.options.data_dir.path}", soft_wrap=True
        )
        return 0 if result.ok else 1
