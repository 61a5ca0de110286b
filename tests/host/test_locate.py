"""Finding a running system: a server that is not able now is waited for, others are said."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mm.errors import SystemRefused, Unavailable
from mm.host import DataDir, Lock, System
from mm.host.locate import PATIENCE_S
from mm.store import Keys, socket_url
from tests.kit import short_directory

LOADING = b"-LOADING Redis is loading the dataset in memory\r\n"
BUSY = b"-BUSY Redis is busy running a script\r\n"


@contextmanager
def answering(path: Path, *answers: bytes) -> Iterator[None]:
    """A server that gives each of the answers to one look, and the last one to all later ones."""
    left = list(answers)

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                while request := connection.recv(65_536):
                    if b"DBSIZE" not in request:
                        connection.sendall(b"+OK\r\n" * request.count(b"*"))
                        continue
                    connection.sendall(left.pop(0) if len(left) > 1 else left[0])

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def path() -> Iterator[Path]:
    """The path of a socket, which does not exist yet."""
    with short_directory() as directory:
        yield directory / "redis.sock"


def system(path: Path, said: list[str] | None = None) -> System:
    """The system of the server at the socket."""
    say = (said if said is not None else []).append
    return System(DataDir(path.parent), socket_url(path), Keys(), None, say)


@pytest.mark.slow
def test_a_server_that_loads_or_is_busy_is_waited_for(path: Path) -> None:
    """The command waits until the server serves, and says for what, once each."""
    said: list[str] = []
    with answering(path, LOADING, LOADING, BUSY, LOADING, b":0\r\n"):
        assert system(path, said).scripts().keys == Keys()
    assert [line.partition(" (")[0] for line in said] == [
        "waiting: the server is loading its data",
        "waiting: a script of some program has run for long and blocks the server",
        "waiting: the server is loading its data",
    ]


@pytest.mark.slow
def test_patience_ends(path: Path) -> None:
    """After the time allowed the command ends, and still does not advise to start a server."""
    assert PATIENCE_S > 1
    with answering(path, LOADING), pytest.raises(Unavailable) as raised:
        system(path).scripts(patience_s=0.3)
    assert "is loading its data: waited 0.3 s" in str(raised.value)
    assert "mm up" not in str(raised.value)


def test_a_refused_user_is_not_an_absent_server(path: Path) -> None:
    """A wrong password is said as such, with the server and without the password."""
    url = socket_url(path).replace("unix://", "unix://:s3cr@")
    found = System(DataDir(path.parent), url, Keys(), None)
    wrong = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
    with answering(path, wrong), pytest.raises(SystemRefused) as raised:
        found.scripts()
    assert "refuses the user name or the password" in str(raised.value)
    assert "mm up" not in str(raised.value)
    assert "s3cr" not in str(raised.value)


def test_no_server_at_all(path: Path) -> None:
    """Without a server the command says so at once, and how to start one."""
    with pytest.raises(Unavailable, match=r"no server answers.*Start one with `mm up`"):
        system(path).scripts()


@pytest.mark.parametrize("socket_left", [False, True])
def test_a_running_mm_up_without_server_is_named(path: Path, socket_left: bool) -> None:
    """While `mm up` runs, nobody is advised to start one: its server is being (re)started."""
    directory = DataDir(path.parent)
    found = System(directory, None, Keys(), None)
    directory.prepare()
    if socket_left:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    with Lock(directory), pytest.raises(Unavailable) as raised:
        found.scripts()
    assert "`mm up` (pid " in str(raised.value)
    assert "Start one" not in str(raised.value)
    with pytest.raises(Unavailable, match="Start one with `mm up"):
        found.scripts()


def test_a_full_disk_is_the_reason(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a full disk the advice names it."""
    directory = DataDir(path.parent)
    directory.prepare()
    monkeypatch.setattr("mm.host.datadir.LEAST_ROOM", 2**63)
    with Lock(directory), pytest.raises(Unavailable, match=r"the disk of .* is full"):
        System(directory, None, Keys(), None).scripts()
