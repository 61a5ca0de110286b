"""How the story of a symbol looks."""

from __future__ import annotations

from rich.text import Text

from mm.explain import Story
from mm.terminal.draw import BAD, WARN
from mm.terminal.labelled import LabelledRows

_STYLES = {"quote": "bold", "omitted": WARN, "expired": WARN, "withdrawn": BAD}


def story_table(story: Story) -> LabelledRows:
    """One row for each step, with the time since the step before."""
    title = f"{story.symbol.name}, oldest first; times since the line before"
    rows = [(Text(), Text(note, "dim")) for note in story.notes]
    steps = list(story.rows())
    widest = max(len(when) for when, _ in steps)
    for when, step in steps:
        rows.append((Text(when.rjust(widest), "dim"), Text(step.text, _STYLES.get(step.kind, ""))))
    return LabelledRows(Text(title, "bold"), rows)
