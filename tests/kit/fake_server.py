"""A tiny server that answers every command in one bad way, for what a real one does rarely."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: How it behaves: name -> the answer to every command; None never answers, "" closes.
MOODS: dict[str, bytes | None] = {
    "loading": b"-LOADING Redis is loading the dataset in memory\r\n",
    "busy": b"-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN\r\n",
    "noauth": b"-NOAUTH Authentication required.\r\n",
    "noperm": b"-NOPERM User default has no permissions to run this command\r\n",
    "masterdown": b"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is no.\r\n",
    "garbage": b"\x00\xffHTTP/1.1 400 Bad Request\r\n\r\n",
    "closing": b"",
    "hanging": None,
}


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        """Read commands and answer each as the server's mood is."""
        mood: bytes | None = self.server.mood  # type: ignore[attr-defined]  # set by fake_server
        while self._read_command():
            if mood is None:
                continue
            if not mood:
                return
            self.wfile.write(mood)

    def _read_command(self) -> bool:
        try:
            head = self.rfile.readline()
            if not head.startswith(b"*"):
                return False
            for _ in range(int(head[1:])):
                length = int(self.rfile.readline()[1:])
                self.rfile.read(length + 2)
        except (OSError, ValueError):
            return False
        return True

    def finish(self) -> None:
        """Close; the other side may be gone already."""
        with suppress(OSError):
            super().finish()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False


@contextmanager
def fake_server(path: Path, mood: str) -> Iterator[str]:
    """A server on the socket ``path`` that behaves as the mood says; its URL."""
    with _Server(str(path), _Handler) as server:
        server.mood = MOODS[mood]  # type: ignore[attr-defined]  # read by the handler
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"unix://{path}"
        finally:
            server.shutdown()
            thread.join()
