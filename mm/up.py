"""``mm up``: composes the server, its children and the live view, and ends them in order."""

from __future__ import annotations

import contextlib
import errno
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from rich.console import Console

from mm.account import check_loaded, give_account
from mm.drain import DRAIN_S, drain
from mm.errors import SystemRefused, shown_path
from mm.host import (
    ChildPlan,
    Listening,
    Lock,
    ManagedCluster,
    ManagedServer,
    ServerNurse,
    Shape,
    Supervisor,
    System,
    UpPresence,
    add_users,
    admit_clients,
    check_directory,
    find_binary,
    gateway_words,
    known_shape,
    open_system,
    wanted_config,
)
from mm.interrupts import Stop
from mm.market import Config
from mm.orders import Tape, check_paced, config_to_replay
from mm.store import ADMIN, OPERATOR, Scripts, partitions_of, read_config
from mm.tape_run import TapeRun
from mm.terminal import (
    LiveView,
    RunStatus,
    SnapshotSource,
    can_draw,
    controls_as,
    print_line,
)


@dataclass(frozen=True)
class UpOptions:
    """What ``mm up`` runs.

    ``config`` is None for the configuration that the keys hold. ``server`` is the program of the
    managed server, None for the package's; no server is managed when the system names a URL.
    ``duration_s`` is None for a run without end. ``headless`` prints status lines in place of the
    live view. ``tape`` is the one that the plan replays; without ``config`` it defines the symbols
    of a new system. ``listening`` is where the managed server listens beside its socket.
    ``partitions`` is into how many the system is split; None for what the configuration says.
    With ``replicas`` they are on a managed cluster, each with so many replicas; or the servers that
    the system's URL names have so many. ``who`` is the operator that the keys of the live view act
    as.
    """

    system: System
    plan: ChildPlan
    config: Config | None = None
    server: str | None = None
    duration_s: float | None = None
    headless: bool = False
    tape: Tape | None = None
    listening: Listening | None = None
    partitions: int | None = None
    replicas: int | None = None
    who: str = "unknown"


class Up:
    """One run of ``mm up``; call :meth:`run` once."""

    def __init__(self, options: UpOptions, console: Console) -> None:
        self.options = options
        self.console = console
        self._system = options.system
        self._data_dir = options.system.data_dir
        self._full_screen = can_draw(console) and not options.headless
        self._shape = self._cluster_shape()
        # The nodes of a cluster end with this process by themselves.
        alone = self._system.redis_url is None and self._shape is None
        owned_server = self._data_dir.url if alone else ""
        environment = self._system.environment()
        self._supervisor = Supervisor(self._data_dir.logs, owned_server, environment=environment)
        self._nurse: ServerNurse | ManagedCluster | None = None
        self._presence: UpPresence | None = None
        self._lock: Lock | None = None
        self._partitions = 1
        self._replay: TapeRun | None = None

    def run(self, stop: Stop) -> int:
        """Run until ``stop`` is set, the duration is over or the publishers have finished.

        Returns the exit status: 1 when the final audit finds a violation, a symbol is halted or a
        child never came up, else 0. A signal during the start raises Interrupted, after everything
        that was started is stopped.
        """
        self._data_dir.prepare()
        with (
            Lock(self._data_dir) as self._lock,
            self._server(stop),
            contextlib.closing(self._supervisor),
        ):
            system = self._system
            source = SnapshotSource(system.waiting_url, system.keys, OPERATOR, system.archives)
            with stop.breaking_off():
                presence = self._open_system(source.scripts)
            with contextlib.closing(presence) as self._presence:
                for child in self.options.plan.children(self._system, self._partitions):
                    stop.check()
                    self._supervisor.add(
                        child.name, *child.arguments, finishes=child.finishes, beats=child.beats
                    )
                if self.options.plan.serve:
                    self._say(gateway_words(self.options.plan.serve, self._data_dir))
                started_at = time.monotonic()
                self._show(source, stop, started_at)
                drained = self._end_trading(source, stop)
                return self._account(source, drained, time.monotonic() - started_at)

    def _open_system(self, scripts: Scripts) -> UpPresence:
        """Make the system or join it, and audit what an unclean stop has left."""
        if self._system.redis_url is not None:
            # It may be loading its data for long.
            self._system.scripts(patience_s=math.inf).client.close()
        check_directory(self._data_dir, scripts)
        config = self._config(scripts)
        joined = open_system(self._data_dir, scripts, config, self._system.durability)
        identity = joined.identity
        self._partitions = len(partitions_of(scripts))
        clients = self.options.plan.clients(self._partitions)
        if self.options.tape is not None:
            self._replay = TapeRun(self.options.tape, self.options.plan, scripts)
        if isinstance(self._nurse, ServerNurse) and clients:
            # How many partitions there are may be known only now.
            client = self._system.client(ADMIN)
            add_users(self._data_dir, clients, [client])
            client.close()
        admit_clients(self._data_dir, scripts, identity.system_id, clients)
        if joined.how != "joined":
            self._say(f"{joined.how} system {identity.system_id}")
        if self._nurse is not None and self._nurse.server.unclean:
            self._say("the server was not stopped in order: its data is audited first")
            check_loaded(scripts, self._data_dir)
            self._nurse.server.unclean = False
            self._say("the audit is clean")
        return UpPresence(scripts, identity, self._data_dir, self._say)

    @contextlib.contextmanager
    def _server(self, stop: Stop) -> Iterator[None]:
        """A managed server for the run, unless the system names a server by its URL."""
        if self._system.redis_url is not None:
            yield
            return
        binary = find_binary(self.options.server)
        if self._shape is not None:
            clients = self.options.plan.clients(self._shape.partitions)
            with stop.breaking_off():
                cluster = ManagedCluster(
                    self._data_dir, self._shape, binary, self._say, stop, clients
                )
            self._nurse = cluster
            try:
                cluster.start()
                yield
            finally:
                cluster.stop()
            return
        with stop.breaking_off():
            server = ManagedServer(self._data_dir, binary, self._say, stop)
        server.clients = self.options.plan.clients()
        server.listening = self.options.listening
        self._nurse = ServerNurse(server, self._say)
        try:
            server.start()
            if server.listening is not None:
                self._say(f"the server listens on {server.listening}")
            yield
        finally:
            server.stop()

    def _cluster_shape(self) -> Shape | None:
        """The cluster to run; None for a single server."""
        options = self.options
        if self._system.redis_url is not None:
            return None
        found = known_shape(self._data_dir)
        if found is None and options.replicas is None:
            return None
        configured = options.config.partitions if options.config else 1
        partitions = options.partitions or (found.partitions if found else configured)
        replicas = options.replicas if options.replicas is not None else found and found.replicas
        return Shape(partitions, replicas or 0)

    def _config(self, scripts: Scripts) -> Config | None:
        """The configuration that the system must have; None for the one that the keys hold."""
        tape, shape = self.options.tape, self._shape or self.options
        counts = {"partitions": shape.partitions, "replicas": shape.replicas}
        stored = read_config(scripts, old=True)
        given, durability = self.options.config, self._system.durability
        config = wanted_config(scripts.keys, stored, given, counts, durability)
        if tape is None:
            return config
        config, words = config_to_replay(tape, config, stored, self.options.plan.speed)
        if self.options.plan.paced:
            check_paced(tape, config.partitions)
        self._say(words)
        return config

    def _say(self, text: str) -> None:
        self._supervisor.note(text)
        if not self._full_screen:
            print_line(self.console, self._supervisor.notes[-1])

    def _tick(self) -> None:
        if self._lock is not None and self._lock.lost:
            raise SystemRefused(
                f"{self._data_dir}: it was removed or replaced while the system ran. What was"
                " traded since then is on no disk. All processes were stopped. Restore the"
                " directory from a backup, or begin anew with another --data-dir."
            )
        self._supervisor.tick()
        if self._nurse is not None:
            self._nurse.tick()
        if self._presence is not None:
            self._presence.tick(self._supervisor.wanted)

    def _show(self, source: SnapshotSource, stop: Stop, started_at: float) -> None:
        ends_at = started_at + (self.options.duration_s or float("inf"))

        def run_status() -> RunStatus:
            notes = tuple(self._supervisor.notes)
            restarts, lost = self._supervisor.restarts, self._supervisor.lost
            status = source.run_status(notes, restarts, lost, self._nurse is not None)
            return replace(status, replay=self._replay.progress() if self._replay else "")

        def over() -> bool:
            self._tick()
            return time.monotonic() >= ends_at or self._supervisor.finished("publisher")

        controls = controls_as(self.options.who, source.scripts)
        view = LiveView(source, self.console, self._full_screen, run_status, self._say, controls)
        try:
            view.run(stop, over)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            # The terminal is closed. SIGHUP says so too, but may come after a frame was drawn.
            stop.leave_terminal()

    def _end_trading(self, source: SnapshotSource, stop: Stop) -> bool:
        """Stop the publishers, let the others process what was sent, then stop them too.

        Whether nothing can wait now. A signal skips the wait, and another `mm up` trades on.
        """
        asked = stop.signal
        print_line(
            self.console,
            f"{f'{asked.name}: ' if asked else ''}stopping in order: the publishers, up to"
            f" {DRAIN_S:.0f} s for what they have sent, then the others and the server; Ctrl-C"
            f"{' again' if asked else ''} skips the wait",
        )

        def skipped() -> bool:
            return stop.urged or (asked is None and stop.is_set())

        self._supervisor.stop("serve", skipped)
        self._supervisor.stop("publisher", skipped)
        if not drain(source, self._tick, skipped) and not skipped():
            self._say(f"not every order and fill was processed within {DRAIN_S:.0f} s")
        for kind in ("balancer", "maker", "exchange", "state", "archivist"):
            self._supervisor.stop(kind, skipped)
            if kind == "maker" and self._presence is not None:
                self._say(self._presence.withdraw_quotes())
        if skipped():
            self._say("the wait was skipped: what was sent last is processed at the next start")
        return not skipped() and (self._presence is None or self._presence.alone)

    def _account(self, source: SnapshotSource, drained: bool, elapsed_s: float) -> int:
        """Print what happened, and audit; the exit status."""
        if self._presence is not None:
            self._presence.beat(self._supervisor.wanted)
        account = give_account(source, self._supervisor, self.console, drained, elapsed_s)
        if self._nurse is not None and account.sound:
            self._nurse.server.unclean = False
        if self._replay is not None and (found := source.snapshot(max_symbols=0)) is not None:
            self.console.print(self._replay.report(found))
        place = shown_path(self._data_dir.path)
        print_line(self.console, f"ran {elapsed_s:.0f} s; data and logs in {place}")
        return 0 if account.good else 1
