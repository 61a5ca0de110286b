"""Commands in processes forked from one that has loaded all modules.

A start of Python with its libraries takes most of the time of a short command, and the tests run
many hundred of them. What such a process does is what a new one does, but for its first lines:
tests of those, and of the environment of Python itself, start a new one.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import IO

#: What Python itself reads as it starts: names of the environment that begin so.
OF_PYTHON = ("PYTHON", "LC_", "LANG", "LD_", "TZ")
#: The most bytes of a request.
REQUEST = 100_000


class Forker:
    """The process that has loaded all modules; it ends with the one that has made this."""

    def __init__(self) -> None:
        name = f"mm-tests-{secrets.token_hex(8)}"
        self._address = abstract(name)
        self._process = subprocess.Popen(
            # As a file: the modules of the tests are not loaded.
            [sys.executable, "-P", __file__, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.read(1) == b"."
        atexit.register(self.close)

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def run(
        self, words: Sequence[str], environment: Mapping[str, str], timeout_s: float
    ) -> subprocess.CompletedProcess[bytes] | None:
        """Run ``mm`` with these words to its end, without input; None when it must be started anew.

        TimeoutExpired with what it said when it hangs; it is killed then.
        """
        names = {*environment, *os.environ}
        request = json.dumps([list(words), dict(environment), str(Path.cwd())]).encode()
        if len(request) > REQUEST or any(
            environment.get(name) != os.environ.get(name)
            for name in names
            if name.startswith(OF_PYTHON)
        ):
            return None
        with (
            # Files in memory: a test may look at every other place.
            os.fdopen(os.memfd_create("out"), "r+b") as out,
            os.fdopen(os.memfd_create("err"), "r+b") as err,
            socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as keeper,
        ):
            keeper.connect(self._address)
            socket.send_fds(keeper, [request], [out.fileno(), err.fileno()])
            pid = int(keeper.recv(20))
            keeper.settimeout(timeout_s)
            try:
                status = int(keeper.recv(20))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                keeper.settimeout(None)
                keeper.recv(20)
                raise subprocess.TimeoutExpired(words, timeout_s, *_contents(out, err)) from None
            return subprocess.CompletedProcess(words, status, *_contents(out, err))


def _contents(*files: IO[bytes]) -> Iterator[bytes]:
    for file in files:
        # The command wrote through a descriptor of its own, which shares the place in the file.
        file.seek(0)
        yield file.read()


def abstract(name: str) -> str:
    """The address of a Unix socket that is in no directory."""
    return f"\0{name}"


def serve(name: str) -> None:
    """Fork a keeper for each connection, until the input ends; returns in a forked command only."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(abstract(name))
    listener.listen(16)
    # Keepers are not waited for.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    os.write(1, b".")
    while sys.stdin not in select.select([sys.stdin, listener], [], [])[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            if keep(connection):
                return
            os._exit(0)
        connection.close()
    os._exit(0)


def keep(connection: socket.socket) -> bool:
    """Fork the command, and tell its pid and its end; True in the command itself."""
    request, files, _, _ = socket.recv_fds(connection, REQUEST, 2)
    words, environment, directory = json.loads(request)
    pid = os.fork()
    if pid:
        connection.send(str(pid).encode())
        connection.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())
        return False
    connection.close()
    for number, file in enumerate([os.open(os.devnull, os.O_RDONLY), *files]):
        os.dup2(file, number)
        os.close(file)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    # It is looked up once, and a library may have done so.
    tempfile.tempdir = None
    sys.argv = ["mm", *words]
    return True


def command(main: Callable[..., object]) -> int:
    """Run the command; its exit status, once all is done that the end of an interpreter does."""
    try:
        main(prog_name="python -m mm")
        status: object = 0
    except SystemExit as end:
        status = end.code or 0
    except BaseException:  # noqa: BLE001  # it ends the command, as it ends an interpreter
        traceback.print_exc()
        status = 1
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()
    # The end itself would take apart every module that was loaded: that is most of a short command.
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    assert isinstance(status, int), status
    return status


if __name__ == "__main__":
    # Ctrl-C is for the test run, which ends this.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    front = import_module("mm.cli.main")
    for module in {module for module, _ in front.COMMANDS.values()}:
        import_module(f"mm.cli.{module}")
    gc.freeze()
    serve(sys.argv[1])
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os._exit(command(front.main))
