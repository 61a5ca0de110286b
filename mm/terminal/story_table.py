"""How the story of a symbol looks."""

from __future__ import annotations

from rich.text import Text

from mm.explain import Story, short_lines
from mm.terminal.columns import Column, FittedTable
from mm.terminal.draw import BAD, QUIET, WARN

_STYLES = {"quote": "bold", "omitted": WARN, "expired": WARN, "withdrawn": BAD}


def story_table(story: Story, is_short: bool = False) -> FittedTable:
    """One row for each step, with the time since the step before; of one line if so."""
    title = f"{story.symbol.name}, oldest first; times since the line before"
    steps = [(when, step.kind, step.text) for when, step in story.rows()]
    if is_short:
        steps = list(short_lines(story))
    return FittedTable(
        title,
        [Column("", [Text(when, QUIET) for when, *_ in steps])],
        [Text(note, QUIET) for note in story.notes],
        prose=Column("", [Text(text, _STYLES.get(kind, "")) for _, kind, text in steps]),
    )
