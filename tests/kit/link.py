"""A link between two servers that delays what goes over it, and can be cut."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import deque


class LossyLink:
    """Forwards a port of 127.0.0.1 to another one, each byte ``delay_s`` late.

    What is under way when the link is cut is lost, as with a network that fails.
    """

    def __init__(self, port: int, target: int, delay_s: float) -> None:
        self.delay_s = delay_s
        self._target = target
        self._open: list[socket.socket] = []
        self._is_cut = False
        self._listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                if self._is_cut:
                    return
                continue
            self._open += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._forward, args=(source, sink), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        waiting: deque[tuple[float, bytes]] = deque()
        source.settimeout(0.002)
        while not self._is_cut:
            try:
                data = source.recv(65_536)
                if not data:
                    break
                waiting.append((time.monotonic() + self.delay_s, data))
            except TimeoutError:
                pass
            except OSError:
                break
            while waiting and waiting[0][0] <= time.monotonic() and not self._is_cut:
                with contextlib.suppress(OSError):
                    sink.sendall(waiting.popleft()[1])
        for one in (source, sink):
            one.close()

    def cut(self) -> None:
        """Lose what is under way, and forward nothing more."""
        self._is_cut = True
        for one in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
