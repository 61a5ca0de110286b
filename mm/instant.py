"""Instants for people, always with their zone: in UTC, and in the reader's own where one asks."""

from __future__ import annotations

from datetime import UTC, datetime


def clock(ms: int) -> str:
    """The time of day of an instant of the server's clock, HH:MM:SSZ; ``-`` out of range."""
    return _instant(ms, "%H:%M:%SZ")


def timestamp(ms: int) -> str:
    """Date and time of an instant of the server's clock, 2026-01-31T12:00:00Z; or ``-``."""
    return _instant(ms, "%Y-%m-%dT%H:%M:%SZ")


def precise(ms: int) -> str:
    """An instant of the server's clock to the millisecond, 2026-01-31T12:00:00.000Z; or ``-``."""
    whole = _instant(ms, "%Y-%m-%dT%H:%M:%S")
    return whole if whole == "-" else f"{whole}.{ms % 1000:03}Z"


def day(ms: int) -> str:
    """The day of an instant, in UTC: 2026-01-31; or ``-``."""
    return _instant(ms, "%Y-%m-%d")


def hour(ms: int) -> str:
    """The beginning of an instant's hour, in UTC: 2026-01-31T12:00:00Z; or ``-``."""
    return _instant(ms, "%Y-%m-%dT%H:00:00Z")


def local_time(ms: int) -> str:
    """The time of day in the zone of this machine, ``14:00:00 CET``; ``-`` out of range."""
    try:
        return datetime.fromtimestamp(ms // 1000, UTC).astimezone().strftime("%H:%M:%S %Z")
    except (OverflowError, ValueError, OSError):
        return "-"


def _instant(ms: int, form: str) -> str:
    """An instant in UTC; ``-`` when no calendar has it."""
    try:
        return datetime.fromtimestamp(ms // 1000, UTC).strftime(form)
    except (OverflowError, ValueError, OSError):
        return "-"
