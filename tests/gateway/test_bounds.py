"""What a client may not do: send too much, be too slow, or take all there is."""

from __future__ import annotations

import json
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from mm.gateway import answers, bounds
from tests.gateway.served import CLIENT, HANG_S, Market, Served, process, serving
from tests.kit import wait_for

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.xdist_group("gateway")]

TOKEN = f"client-{CLIENT}"
#: Streams that are open at the same time.
STREAMS = 2_200


@contextmanager
def connection(served: Served) -> Iterator[socket.socket]:
    """A connection to the gateway, by hand."""
    with socket.create_connection(("127.0.0.1", served.port), HANG_S) as made:
        yield made


def head(served: Served, line: str, *more: str) -> bytes:
    """The head of a request with the client's token."""
    words = [line, "Host: x", f"Authorization: Bearer {served.token(TOKEN)}", *more, "", ""]
    return "\r\n".join(words).encode()


def post(served: Served, *more: str) -> bytes:
    """The head of an order."""
    return head(served, "POST /orders HTTP/1.1", "Content-Type: application/json", *more)


def status_of(made: socket.socket) -> int:
    """The status of the answer."""
    words = made.recv(4096).split(b" ", 2)
    return int(words[1]) if len(words) > 2 else 0


def is_cut(made: socket.socket) -> bool:
    """Whether the other end has closed, after whatever it still sent."""
    try:
        while made.recv(65_536):
            pass
    except ConnectionError:
        return True
    return True


def test_a_large_body_is_413(served: Served) -> None:
    """A body is refused by its declared length, and one without a length once it is too large."""
    large = answers.MAX_BODY + 1
    with served.as_(TOKEN) as client:
        good = json.dumps(served.order("large-1")).encode()
        headers = {"Content-Type": "application/json"}
        padded = good + b" " * (large - len(good))
        assert client.post("/orders", content=padded, headers=headers).status_code == 413
        chunks = iter([padded[:1000], padded[1000:]])
        assert client.post("/orders", content=chunks, headers=headers).status_code == 413
        served.market.quoted()
        fits = good + b" " * (large - 1 - len(good))
        assert client.post("/orders", content=fits, headers=headers).status_code == 200
    with connection(served) as made:
        made.sendall(post(served, "Content-Length: 99999999999"))
        assert status_of(made) == 413


def test_a_large_head_is_refused(served: Served) -> None:
    """A head without an end is cut off."""
    with connection(served) as made:
        made.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * (bounds.MAX_HEAD * 2))
        assert status_of(made) == 400
        assert is_cut(made)


@pytest.mark.parametrize(
    "raw", [b"\0\0\0\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00", b"\n" * 99]
)
def test_rubbish_harms_nobody(served: Served, raw: bytes) -> None:
    """What is no HTTP is refused or cut off, and the gateway goes on."""
    with connection(served) as made:
        made.sendall(raw + b"\r\n\r\n")
        made.shutdown(socket.SHUT_WR)
        assert is_cut(made)
    with served.as_() as client:
        assert client.get("/").status_code == 200


def test_slow_clients_are_cut(quoting: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head or a body that does not come, and an answer that is not read, end in time."""
    monkeypatch.setattr(answers, "BODY_S", 0.4)
    monkeypatch.setattr(bounds, "HEAD_S", 0.4)
    monkeypatch.setattr(bounds, "UNREAD_S", 0.4)
    with serving(quoting) as served, ExitStack() as stack:
        silent, slow, body, again = (stack.enter_context(connection(served)) for _ in range(4))
        slow.sendall(b"GET / HT")
        body.sendall(post(served, "Content-Length: 100") + b"{")
        again.sendall(head(served, "GET /openapi.json HTTP/1.1"))
        assert status_of(again) == 200
        again.sendall(b"GET / HT")
        assert is_cut(silent) and is_cut(slow) and is_cut(again)
        assert status_of(body) == 408
        with socket.socket() as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.settimeout(HANG_S)
            reader.connect(("127.0.0.1", served.port))
            request = head(served, "GET /openapi.json HTTP/1.1")
            with pytest.raises(ConnectionError):
                # It asks and asks, and reads nothing.
                for _ in range(100_000):
                    reader.sendall(request)
        with served.as_() as client:
            assert client.get("/").status_code == 200


def test_a_stream_too_many_is_503(quoting: Market) -> None:
    """Beyond the bound a stream is refused in words; a place that is free again is given."""
    with serving(quoting, max_streams=3) as served, ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(served.events("viewer", "/api/live"))
        with served.as_("viewer") as client:
            with client.stream("GET", "/api/live") as answer:
                assert answer.status_code == 503
                assert "--max-streams" in json.loads(answer.read())["message"]
            assert client.get("/api/live?symbol=NOPE").status_code == 404
            stack.close()

            def is_free() -> bool:
                with client.stream("GET", "/api/live") as stream:
                    return stream.status_code == 200

            wait_for("a free place", is_free)


def test_the_head_of_a_stream_alone_takes_no_place(quoting: Market) -> None:
    """HEAD of a stream ends at once, on a connection that goes on, and its place is free."""
    with serving(quoting, max_streams=1) as served, served.as_("operator") as client:
        for path in ("/api/live", f"/orders/reports?client_id={CLIENT}"):
            for _ in range(2):
                answer = client.head(path)
                assert answer.status_code == 200 and not answer.content
                assert answer.headers["content-type"].startswith("text/event-stream")
        assert client.get("/api/exposure").status_code == 200


def test_thousands_of_streams(quoting: Market) -> None:
    """2,200 open streams of one process each get a report, and orders are answered meanwhile."""
    quoting.quoted()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 2 * STREAMS), hard))
    request = None
    with process(quoting, "--max-streams", str(STREAMS)) as (_, served), ExitStack() as stack:
        request = head(served, "GET /orders/reports HTTP/1.1")
        streams = []
        for _ in range(STREAMS):
            made = stack.enter_context(connection(served))
            made.sendall(request)
            streams.append(made)
        for made in streams:
            assert status_of(made) == 200
        extra = stack.enter_context(connection(served))
        extra.sendall(request)
        assert status_of(extra) == 503
        with served.as_(TOKEN) as client:
            begun = time.monotonic()
            assert client.post("/orders", json=served.order("thousands-1")).status_code == 200
            assert time.monotonic() - begun < HANG_S
        for made in streams:
            found = b""
            while b'"thousands-1"' not in found:
                chunk = made.recv(65_536)
                assert chunk, "the stream has ended"
                found += chunk


def test_the_end_is_orderly(quoting: Market) -> None:
    """SIGTERM ends open streams and the process within seconds, whatever is open."""
    with process(quoting) as (running, served), ExitStack() as stack:
        stack.enter_context(served.events("viewer", "/api/live"))
        silent = stack.enter_context(connection(served))
        slow = stack.enter_context(connection(served))
        slow.sendall(post(served, "Content-Length: 100") + b"{")
        running.terminate()
        assert running.wait(HANG_S) == 0
        assert is_cut(silent)
