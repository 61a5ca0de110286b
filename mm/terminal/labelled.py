"""Rows of a short label and a text, which stands beside its label or, on narrow screens, below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

#: Narrower texts do not stand beside their labels.
LEAST_TEXT = 40


@dataclass(frozen=True)
class LabelledRows:
    """A title, and rows of a label and a text. Texts wrap between words."""

    title: Text
    rows: Sequence[tuple[Text, Text]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self.title
        widest = max((label.cell_len for label, _ in self.rows), default=0)
        if options.max_width - widest - 2 >= LEAST_TEXT:
            grid = Table.grid(padding=(0, 2, 0, 0))
            grid.add_column(no_wrap=True)
            grid.add_column(overflow="fold")
            for row in self.rows:
                grid.add_row(*row)
            yield grid
            return
        for label, text in self.rows:
            if label:
                yield label[len(label.plain) - len(label.plain.lstrip()) :]
            if text:
                yield Padding(text, (0, 0, 0, 2))
