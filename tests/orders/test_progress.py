"""How far a replay is, in words."""

from __future__ import annotations

import pytest

from mm.orders import ReplayProgress, answered_lately
from tests.kit import World

DAY_MS = 1_610_064_000_000


class TestWords:
    def test_at_a_speed(self) -> None:
        """The time left follows from the tape's own time; the tape's time is an instant in UTC."""
        progress = ReplayProgress(200, DAY_MS + 100_000, 2.0)
        assert progress.words(0, 0) == "tape not begun"
        assert progress.words(50, DAY_MS + 20_000) == "tape 2021-01-08T00:00:20Z, 25 %, 40 s left"
        assert progress.words(200, DAY_MS + 100_000) == (
            "tape 2021-01-08T00:01:40Z, 100 %, at its end"
        )

    def test_flat_out(self) -> None:
        """Without a speed the time left follows from the trades since the first look."""
        now = [10.0]
        progress = ReplayProgress(1_000, 9_000, 0.0, clock=lambda: now[0])
        assert progress.words(100, 500) == "tape 0.5 s, 10 %"
        now[0] = 12.0
        assert progress.words(500, 2_500) == "tape 2.5 s, 50 %, 2 s left"

    @pytest.mark.parametrize(
        ("seconds", "words"), [(99, "99 s"), (600, "10 min"), (7_200, "2 h"), (0, "0 s")]
    )
    def test_spans(self, seconds: int, words: str) -> None:
        """Long times are in minutes or hours."""
        progress = ReplayProgress(10, 1_000 * seconds, 1.0)
        assert progress.words(5, 0) == f"tape 0.0 s, 50 %, {words} left"


def test_answered_lately(world: World) -> None:
    """It is the highest number of the run in the newest entries of reports, else 0."""

    def lately(run_id: str, entries: int = 1) -> int:
        return answered_lately(world.client, world.keys, "p", run_id, entries)

    assert lately("r1") == 0
    world.send_raw("r1-7", "p AAA buy 1 1", "r1-8", "p AAA buy 1 1", "x", "p AAA buy 1 1")
    world.scripts.match(10)
    assert (lately("r1"), lately("r2")) == (8, 0)
    world.send_raw("r2-1", "p AAA buy 1 1")
    world.scripts.match(10)
    assert (lately("r1"), lately("r2")) == (0, 1)
    assert lately("r1", 2) == 8
