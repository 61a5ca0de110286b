"""The table that shows the story of a symbol."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from mm.explain import Story

_STYLES = {
    "fill": "cyan",
    "commit": "green",
    "quote": "bold",
    "omitted": "yellow",
    "expired": "yellow",
    "withdrawn": "red",
}


def story_table(story: Story) -> Table:
    """One row for each step, with the time since the step before."""
    shown = Table.grid(padding=(0, 2))
    shown.title = f"{story.symbol.name}, oldest first; times since the line before"
    shown.title_justify, shown.title_style = "left", "bold"
    shown.add_column(justify="right", no_wrap=True, style="dim")
    shown.add_column(overflow="fold")
    for note in story.notes:
        shown.add_row("", Text(note, "dim"))
    for when, step in story.rows():
        shown.add_row(when, Text(step.text, _STYLES.get(step.kind, "")))
    return shown
