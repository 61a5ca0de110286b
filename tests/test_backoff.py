"""The backoff: delays double up to the longest one, for ever."""

from __future__ import annotations

from mm.backoff import Backoff


def test_delays_double_up_to_the_longest() -> None:
    """Each failure doubles the delay, and a success starts again with the first one."""
    backoff = Backoff(0.1, 0.5)
    assert [backoff.failed() for _ in range(5)] == [0.1, 0.2, 0.4, 0.5, 0.5]
    assert backoff.attempts == 5
    backoff.succeeded()
    assert (backoff.attempts, backoff.failed()) == (0, 0.1)


def test_it_never_gives_up() -> None:
    """After thousands of failures the delay still is the longest one."""
    backoff = Backoff(0.1, 2.0)
    assert [backoff.failed() for _ in range(5_000)][-1] == 2.0
