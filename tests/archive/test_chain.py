"""The chain: a link depends on every part of its fill and on all before it."""

from __future__ import annotations

import pytest

from mm.archive import Head, link

PARTS = (b"\x01" * 16, "AAA", 7, 1_700_000_000_000, 2, "buy 1 101 c1 o1 AAA-3 1700000000000 2")


@pytest.mark.parametrize(
    ("place", "other"),
    [(0, b"\x02" * 16), (0, b""), (1, "AAB"), (2, 8), (3, 1), (4, 3), (5, PARTS[5] + "0")],
)
def test_each_part_counts(place: int, other: object) -> None:
    """Another fill, or the same one behind another link, has another link."""
    changed = [*PARTS[:place], other, *PARTS[place + 1 :]]
    assert link(*PARTS) == link(*PARTS)
    assert link(*changed) != link(*PARTS)  # type: ignore[arg-type]  # one part of its own type
    assert len(link(*PARTS)) == 16


def test_a_head_as_text() -> None:
    """It is read as it was written."""
    head = Head(12, b"\xab" * 16)
    assert head.text == f"12 {'ab' * 16}"
    assert Head.parse(head.text) == head


@pytest.mark.parametrize(
    "text",
    [
        *("", "12", f"0 {'ab' * 16}", f"-1 {'ab' * 16}", f"12  {'ab' * 16}", f"12 {'ab' * 15}"),
        *(f"12 {'ab' * 17}", f"12 {'xy' * 16}", f"x {'ab' * 16}", f"12 {'ab' * 16}\n"),
    ],
)
def test_what_is_no_head(text: str) -> None:
    """A number from 1 and the digits of a link, nothing else."""
    with pytest.raises(ValueError, match="is no head of a chain"):
        Head.parse(text)
