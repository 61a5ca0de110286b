"""Whatever stops trading is said on every screen while it lasts, and its end is said too (R20)."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import pytest
import redis

from mm.host import ManagedServer, ThrowawaySystem
from mm.market import default_config
from mm.store import execute
from tests.kit import SERVERS, binary_or_skip, wait_for
from tests.kit.answers import PATIENCE_S, assert_words, reading, run, run_all, some
from tests.kit.commands import MM
from tests.kit.failing import fail_to_save

pytestmark = [pytest.mark.server, pytest.mark.slow]


Act: TypeAlias = Callable[[redis.Redis], object]


@dataclass(frozen=True)
class Cause:
    """What stops trading: what makes it so, what ends it, and its words."""

    begin: Act
    end: Act
    words: str
    announced: bool = True


def command(*words: str) -> Act:
    """Send a command."""
    return lambda client: execute(client, *words)


CAUSES = (
    Cause(
        command("CONFIG SET", "maxmemory", "1"),
        command("CONFIG SET", "maxmemory", "0"),
        "memory limit",
    ),
    Cause(fail_to_save, command("CONFIG SET", "save", ""), "snapshot"),
    Cause(command("REPLICAOF", "127.0.0.1", "1"), command("REPLICAOF", "NO", "ONE"), "replica"),
    Cause(
        command("HSET", "{mm}:position:AAPL", "halted", "a gap"),
        command("HDEL", "{mm}:position:AAPL", "halted"),
        "AAPL is halted: a gap",
    ),
    Cause(
        command("ZADD", "{mm}:waiting:bid", "1", "AAPL"),
        command("ZREM", "{mm}:waiting:bid", "AAPL"),
        "no exposure is free",
        announced=False,
    ),
)
#: Said by every screen while no process is live.
AT_REST = "nothing trades"


@SERVERS
def test_what_stops_trading_is_on_every_screen(server: str) -> None:
    """Each reading command says each cause while it lasts, and no longer; the view says its end."""
    with ThrowawaySystem(partial(ManagedServer, binary=binary_or_skip(server))) as system:
        system.start(default_config())
        where = ["--data-dir", str(system.data_dir.path)]
        turn = 0 if server == "valkey" else 1
        client = system.scripts.client
        # Lines go into a file: a screen that cannot draw.
        view = system.data_dir.path / "view"
        with view.open("wb") as file:
            watch = subprocess.Popen([*MM, "watch", *where], stdout=file)
        try:
            wait_for_line(view, AT_REST)
            for cause in CAUSES:
                cause.begin(client)
                for answer in run_all(some(reading(where), turn, 2)):
                    assert_words(answer, 0, 1)
                    said = " ".join(answer.text.split())
                    assert cause.words in said and AT_REST in said, answer
                    if answer.words[0] in ("status", "order"):
                        assert answer.status == 1, answer
                # The status line says it at once; the line of its own, with its time, comes later.
                wait_for_line(view, cause.words, *["Z TROUBLE: "][: cause.announced])
                cause.end(client)
                answer = run("status", *where)
                assert cause.words not in " ".join(answer.text.split()), answer
                if cause.announced:
                    wait_for_line(view, "over after ", cause.words)
                turn += 1
        finally:
            watch.terminate()
            watch.wait(PATIENCE_S)


def wait_for_line(view: Path, *words: str) -> None:
    """Wait until a line of the file has all the words."""

    def seen() -> bool:
        lines = view.read_text().splitlines()
        return any(all(word in line for word in words) for line in lines)

    wait_for(f"a line with {words}", seen, PATIENCE_S)
