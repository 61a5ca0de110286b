"""A market whose makers use a quote rule of somebody's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from mm.facts import stoppages
from mm.store import take_snapshot
from tests.kit.backends import wait_for
from tests.kit.running import RunningSystem

pytestmark = [pytest.mark.server, pytest.mark.slow]

RULE = """
def quote(position, symbol):
    if symbol.name == "AAPL" and position.position_version > 5:
        return 1 / 0
    half = symbol.spread_ticks
    fair = position.last_price_ticks or symbol.reference_ticks
    return fair - half, 3, fair + half, 3
"""


def test_a_market_with_a_rule_that_fails_for_one_symbol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`mm up` finds it in the working directory; the failing symbol loses its quote, no other."""
    monkeypatch.chdir(tmp_path)
    Path("own_rule.py").write_text(RULE)
    running = RunningSystem()
    try:
        running.start("--rule", "own_rule:quote")

        def failed() -> bool:
            said = [one.words for one in stoppages(take_snapshot(running.scripts()))]
            return any("the quote rule own_rule:quote fails for AAPL" in one for one in said)

        wait_for("the fault on the screens", failed, 60)
        wait_for("the others' quotes", lambda: running.status()["quotes_active"] == 7, 30)
        running.trades_on(30)
        status, printed = running.stop()
        assert status == 0, printed
        logs = [path.read_text() for path in (running.data_dir / "logs").glob("maker-*.log")]
        assert any("rule own_rule:quote failed symbol=AAPL: it raised Zero" in one for one in logs)
    finally:
        running.close()
