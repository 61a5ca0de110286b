"""A throwaway system: a server of its own in a temporary directory, of which nothing stays."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

from mm.errors import UsageError
from mm.host.cluster import ManagedCluster
from mm.host.datadir import DataDir, Lock
from mm.host.identity import open_system
from mm.host.locate import System
from mm.host.plan import ChildPlan
from mm.host.server import ManagedServer
from mm.host.supervise import Supervisor
from mm.host.users import admit_clients
from mm.market import Config
from mm.store import Keys, Scripts, open_client, partitions_of

ServerT = TypeVar("ServerT", bound=ManagedServer | ManagedCluster)
#: Makes the managed server or cluster from its data directory; a subclass can stand in for it.
MakeServer = Callable[[DataDir], ServerT]


class ThrowawaySystem(Generic[ServerT]):
    """A data directory, its lock, its managed server and a supervisor for its processes.

    Making one touches only the new directory, which lies in ``parent`` (default: where temporary
    files go). :meth:`start` starts the server and sets up the keys, :meth:`close` or the end of
    the ``with`` block ends every process and removes the directory.
    """

    def __init__(
        self, make_server: MakeServer[ServerT], prefix: str = "mm-", parent: str | None = None
    ) -> None:
        self.keys = Keys()
        with ExitStack() as undo:
            # A short path: a socket will lie in it.
            path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
            undo.callback(shutil.rmtree, path, ignore_errors=True)
            self.data_dir = DataDir(path)
            try:
                self.data_dir.prepare()
            except UsageError as error:
                if parent is not None:
                    raise
                raise UsageError(
                    f"{error} A throwaway system lies where the environment variable TMPDIR says."
                ) from error
            self._lock = undo.enter_context(Lock(self.data_dir))
            self.server = make_server(self.data_dir)
            self.scripts = Scripts(open_client(self.data_dir.url), self.keys)
            undo.callback(self.scripts.client.close)
            # The nodes of a cluster end with this process by themselves.
            alone = "" if isinstance(self.server, ManagedCluster) else self.data_dir.url
            self.supervisor = Supervisor(self.data_dir.logs, alone)
            undo.pop_all()

    def start(self, config: Config | None = None) -> None:
        """Start the server, and set up the keys if a configuration is given."""
        self.server.start()
        if config is not None:
            joined = open_system(self.data_dir, self.scripts, config)
            admit_clients(self.data_dir, self.scripts, joined.identity.system_id)

    def start_children(self, plan: ChildPlan) -> None:
        """Start the children of the plan, of each partition that the system has."""
        partitions = len(partitions_of(self.scripts))
        for child in plan.children(System(self.data_dir, None, self.keys, None), partitions):
            self.supervisor.add(
                child.name, *child.arguments, finishes=child.finishes, beats=child.beats
            )

    def kill_server(self) -> None:
        """Kill the server as a crash would, or all nodes; nothing when it does not run."""
        self.server.kill()

    def close(self, keep: bool = False) -> None:
        """Kill the processes, stop the server, and remove the directory unless ``keep`` is set."""
        with ExitStack() as last:
            if not keep:
                last.callback(shutil.rmtree, self.data_dir.path, ignore_errors=True)
            last.push(self._lock)
            last.callback(self.server.stop)
            last.callback(self.scripts.client.close)
            last.callback(self.supervisor.close)
            for child in self.supervisor.children.values():
                child.done = True
                if child.process is not None:
                    child.process.kill()
                    child.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
