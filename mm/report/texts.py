"""Numbers as the page shows them."""

from __future__ import annotations


def count(number: int, name: str) -> str:
    """So many of something: ``1 fill``, ``2,000 fills``."""
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def share(part: int, whole: int) -> str:
    """A share in per cent, rounded towards what is not certain: 100 % is all, and 0 % nothing."""
    if not whole:
        return "-"
    hundredths = part * 10_000 // whole
    if part and not hundredths:
        return "below 0.01 %"
    return f"{hundredths // 100}.{hundredths % 100:02d} %"


def duration(ms: int) -> str:
    """A time in the largest units that fit: ``2 d 3 h``, ``4 min 5 s``, ``1.234 s``."""
    seconds = ms // 1_000
    if seconds < 60:
        return f"{seconds}.{ms % 1_000:03d} s"
    for size, name, below, below_name in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if seconds >= size:
            return f"{seconds // size} {name} {seconds % size // below} {below_name}"
    raise AssertionError(ms)


def ms_text(ms: int | None) -> str:
    """Milliseconds of a table; ``-`` when there are none."""
    return "-" if ms is None else f"{ms:,}"


def signed(amount: str) -> str:
    """An amount with its sign, also when it is positive."""
    return amount if amount.startswith("-") or not amount.strip("0.,") else f"+{amount}"
