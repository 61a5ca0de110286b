"""The server's clock alone decides (R17), and it may jump.

No expired quote comes back (R3), and no order executes twice (R13). Each test is a row of
docs/FAILURES.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit import (
    SEEDS,
    Fake,
    World,
    binary_or_skip,
    server_ms,
    small_config,
    wait_for,
)
from tests.kit.crash import (
    KillableServer,
    killable_server,
)
from tests.kit.threads import RunningProcesses, all_processes, answered
from tests.kit.trader import Trader

FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)

pytestmark = pytest.mark.server


@pytest.fixture
def clocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[KillableServer, Path]]:
    """A Valkey whose clock follows a file: seconds to add to the machine's."""
    if FAKETIME is None:
        pytest.skip("libfaketime (Debian's package faketime), which moves the clock, is missing")
    with killable_server(binary_or_skip("valkey")) as made:
        offset = made.directory.path / "clock"
        offset.write_text("+0")
        with monkeypatch.context() as patch:
            patch.setenv("LD_PRELOAD", str(FAKETIME))
            patch.setenv("FAKETIME_TIMESTAMP_FILE", str(offset))
            patch.setenv("FAKETIME_NO_CACHE", "1")
            patch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            made.start()
        yield made, offset


def _set_clock(world: World, offset: Path, seconds: int) -> None:
    due = server_ms(world.client) + (seconds - int(offset.read_text())) * 1_000
    offset.write_text(f"{seconds:+d}")
    wait_for("the clock to jump", lambda: abs(server_ms(world.client) - due) < 5_000)


def test_clock_set_back_and_forward_while_running(clocked: tuple[KillableServer, Path]) -> None:
    """Jumps of minutes: no fill or order twice, stream ids only grow, every symbol quoted again."""
    made, offset = clocked
    world = made.world(small_config(3, limit=60, quote_ttl_ms=2_000, refresh_ms=500), setup=True)
    trader = Trader(world, SEEDS[0])
    with RunningProcesses(*all_processes(made)) as running:
        for seconds in (0, 300, -300, 0, -600, 600):
            _set_clock(world, offset, seconds)
            for _ in range(30):
                trader.send()
            wait_for("all orders answered", lambda: answered(world), 25)
            wait_for("all symbols quoted", lambda: all(map(world.quote_lots, world.names)), 25)
        assert not running.ended
    for stream in ("orders", "fills", "positions", "quotes"):
        ids = [tuple(map(int, entry.split("-"))) for entry, _ in world.stream(stream)]
        assert ids == sorted(set(ids)), stream
    seen = [report for client in ("c1", "c2") for report in world.reports(client)]
    first = [(one.order_id, one.fill_id) for one in seen if not one.duplicate and one.fill_id]
    assert len(first) == len(set(first)) == len(world.fills())
    made.server.stop()


def test_clock_set_back_revives_nothing_and_forgets_nothing(fake: Fake) -> None:
    """At any clock reading an ended quote stays gone, and an order sent again is a duplicate."""
    world = World(fake, small_config())
    world.propose()
    order = world.order()
    (report,) = world.trade(order)
    assert report.status == "filled"
    now = world.now_ms()
    world.drain()
    world.advance(world.config.quote_ttl_ms)
    assert world.scripts.expire().quote_ids
    for jump_ms in (-600_000, 600_000, -86_400_000):
        fake.set_ms(now + jump_ms)
        assert world.quote_lots() is None
        assert world.reserved() == (0, 0)
        assert world.trade(world.order())[0].reason in ("no_quote", "expired")
        assert world.trade(order)[0].duplicate
    assert len(world.fills()) == 1
