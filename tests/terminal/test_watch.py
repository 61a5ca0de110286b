"""The live view in a real terminal of a given size: what a person at the keyboard sees."""

from __future__ import annotations

import os
import signal

import pytest

from tests.kit.running import RunningSystem
from tests.terminal.pseudo import Terminal

pytestmark = pytest.mark.server


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (200, 50)])
def test_up_on_a_terminal_shows_the_market(system: RunningSystem, columns: int, rows: int) -> None:
    """`mm up` shows quotes, exposure, processes and durability at 80 and at 200 columns.

    Ctrl-C ends it with the audit on the ordinary screen.
    """
    arguments = ["up", "--rate", "100", "--data-dir", str(system.data_dir)]
    terminal = Terminal(columns, rows, arguments, system.leash)
    try:
        text = terminal.shows("AAPL", "EURUSD", "durability always", "valkey", "long", "short")
        terminal.shows("granted")
        terminal.shows("exchange-1", "live")
        symbols = [line for line in text.splitlines() if line.startswith("AAPL")]
        assert len(symbols) == 1, text
        assert terminal.interrupt() == 0
        last = terminal.read()
        assert "drained" in last, last
        assert "Traceback" not in last
    finally:
        terminal.close()


def test_watch_shows_a_running_system_and_changes_nothing(system: RunningSystem) -> None:
    """`mm watch` in another terminal shows the same system, and its end leaves it trading."""
    system.start()
    terminal = Terminal(100, 30, ["watch", "--data-dir", str(system.data_dir)], system.leash)
    try:
        terminal.shows("AAPL", "durability always", "maker-2", "live")
        os.kill(system.server_pid(), signal.SIGKILL)
        system.trades_on(30)
        terminal.shows("AAPL", "durability always", "maker-2", "live")
        assert terminal.interrupt() == 0
    finally:
        terminal.close()
    system.trades_on()
