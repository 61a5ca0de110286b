"""The proxy applies exactly the fault that it is asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from mm.lab.chaos.proxy import Fault, Kind, Link, message_end
from tests.kit import short_directory


@pytest.mark.parametrize(
    "message",
    [
        b"+OK\r\n",
        b":12\r\n",
        b"$-1\r\n",
        b"*-1\r\n",
        b"*0\r\n",
        b"$5\r\na\r\nbc\r\n",
        b"*2\r\n$4\r\nPING\r\n$0\r\n\r\n",
        b"*2\r\n*2\r\n:1\r\n$-1\r\n*1\r\n*1\r\n+x\r\n",
    ],
)
def test_a_message_ends_at_its_last_byte(message: bytes) -> None:
    """Any shorter piece of a message is incomplete, and what follows it is not touched."""
    assert message_end(message + b"+more\r\n") == len(message)
    assert message_end(b"+before\r\n" + message, 9) == 9 + len(message)
    assert {message_end(message[:cut]) for cut in range(len(message))} == {-1}


def request(word: str) -> bytes:
    """A command of one word."""
    return f"*1\r\n${len(word)}\r\n{word}\r\n".encode()


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def through_proxy(fault: Fault, talk: Talk) -> tuple[list[str], list[int]]:
    """Talk to an echoing server through a link with one fault: what it got, and the hits.

    SKIP has no reply, nor has the request after it.
    """
    got: list[str] = []
    hits: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silent = 0
        while line := await reader.readline():
            if line[:1] in (b"*", b"$"):
                continue
            got.append(line.decode().strip())
            silent = 2 if got[-1] == "SKIP" else silent
            if silent:
                silent -= 1
            else:
                writer.write(b"+" + line)
        writer.close()

    async def scene(directory: Path) -> None:
        server = await asyncio.start_unix_server(serve, directory / "s")
        link = Link(directory / "s", hits.append)
        link.faults.append(fault)
        proxy = await asyncio.start_unix_server(link.serve, directory / "p")
        async with server, proxy:
            reader, writer = await asyncio.open_unix_connection(directory / "p")
            await asyncio.wait_for(talk(reader, writer), 10)
            writer.close()
            until = time.perf_counter() + 10
            while not hits and time.perf_counter() < until:
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.02)

    with short_directory() as directory:
        asyncio.run(scene(directory))
    return got, hits


@pytest.mark.parametrize(
    ("kind", "got", "sent_back"),
    [
        ("request", ["A", "X"], b"+A\r\n+X\r\n"),
        ("reply", ["A", "X", "X"], b"+A\r\n+X\r\n"),
        ("connection", ["A", "X", "X"], b"+A\r\n+X\r\n+X"),
    ],
)
def test_the_proxy_loses_what_is_demanded(kind: Kind, got: list[str], sent_back: bytes) -> None:
    """The second X is lost on its way, or its reply is, or half of it; then the link is cut."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answered = b""
        for word in ("A", "X", "X"):
            writer.write(request(word))
            answered += await reader.read(100)
        assert answered + await reader.read() == sent_back

    assert through_proxy(Fault(9, kind, b"X", 1, 0), talk) == (got, [9])


@pytest.mark.parametrize(("only", "sent_back"), [(b"Z", b"+A\r\n+Y\r\n"), (b"X", b"+A\r\n")])
def test_the_proxy_knows_which_request_has_no_reply(only: bytes, sent_back: bytes) -> None:
    """The command before X takes its reply away, so X's fault is applied to the reply of Y."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for word in ("A", "SKIP", "X", "Y", "Z"):
            writer.write(request(word))
        assert await reader.read() == sent_back

    got, hits = through_proxy(Fault(9, "reply", only, 0, 0), talk)
    assert (got, hits) == (["A", "SKIP", "X", "Y", "Z"], [9])


def test_the_proxy_delivers_late_though_the_sender_is_gone() -> None:
    """A request held back reaches the server after its sender has closed: the zombie's proposal."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(request("LATE"))
        await writer.drain()

    assert through_proxy(Fault(4, "delay", b"LATE", 0, 0.05), talk) == (["LATE"], [4])
