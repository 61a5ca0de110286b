"""The client's settings: what the library would do by itself is switched off."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest
import redis

from mm.store import execute, open_client, socket_url


def lose_replies(listener: socket.socket, received: list[bytes]) -> None:
    """Answer ``+OK`` to all requests of each connection, but close it at an EVALSHA."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            while request := connection.recv(65_536):
                received.append(request)
                if b"EVALSHA" in request:
                    break
                connection.sendall(b"+OK\r\n" * request.count(b"*"))


def test_a_lost_reply_is_not_asked_for_again(tmp_path: Path) -> None:
    """A script whose reply is lost with its connection is an error: the client sends it once."""
    path = tmp_path / "redis.sock"
    received: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=lose_replies, args=(listener, received))
        thread.start()
        client = open_client(socket_url(path))
        try:
            with pytest.raises(redis.exceptions.ConnectionError):
                execute(client, "EVALSHA", "0" * 40, 0)
        finally:
            client.close()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
    assert sum(b"EVALSHA" in request for request in received) == 1
