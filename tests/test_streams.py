"""Output that any terminal survives."""

from __future__ import annotations

import io
import sys

import pytest

from mm.streams import lookalike, make_streams_safe

DRAWN = "─ quotes ─ ▏▎▍▌▋▊▉█░ ━╸─ ▁▂▃▄▅▆▇█· │┼┐ …"


def test_lookalikes_have_the_same_length() -> None:
    """Each drawing character has one ASCII character in its place, every other one a ``?``."""
    assert lookalike("█▌░ ─ ━╸ │ … é") == "#=. - => | ~ ?"
    assert len(lookalike(DRAWN)) == len(DRAWN)
    assert "?" not in lookalike(DRAWN)


@pytest.mark.parametrize(
    ("encoding", "written"), [("ascii", "-? #"), ("latin-1", "-é #"), ("utf-8", "─é █")]
)
def test_both_streams_write_any_text(
    monkeypatch: pytest.MonkeyPatch, encoding: str, written: str
) -> None:
    """What an encoding lacks is replaced and nothing else; half a character of a path is too."""
    kept = {name: io.BytesIO() for name in ("stdout", "stderr")}
    for name, buffer in kept.items():
        monkeypatch.setattr(sys, name, io.TextIOWrapper(buffer, encoding=encoding))
    make_streams_safe()
    for name, buffer in kept.items():
        print("─é █", "\udcff", end="", flush=True, file=getattr(sys, name))
        assert buffer.getvalue().decode(encoding) == f"{written} ?"
