"""How the story of a symbol looks."""

from __future__ import annotations

from rich.text import Text

from mm.explain import Story, short_lines
from mm.terminal.draw import BAD, WARN
from mm.terminal.labelled import LabelledRows

_STYLES = {"quote": "bold", "omitted": WARN, "expired": WARN, "withdrawn": BAD}


def story_table(story: Story, is_short: bool = False) -> LabelledRows:
    """One row for each step, with the time since the step before; of one line if so."""
    title = f"{story.symbol.name}, oldest first; times since the line before"
    rows = [(Text(), Text(note, "dim")) for note in story.notes]
    steps = [(when, step.kind, step.text) for when, step in story.rows()]
    if is_short:
        steps = list(short_lines(story))
    widest = max(len(when) for when, *_ in steps)
    for when, kind, text in steps:
        rows.append((Text(when.rjust(widest), "dim"), Text(text, _STYLES.get(kind, ""))))
    return LabelledRows(Text(title, "bold"), rows)
