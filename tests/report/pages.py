"""A report as its readers see it: the tables by their captions, the plots, and every attribute."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from mm.records import Range, Source, sources_of
from mm.report import Past, page, read_past
from mm.store import take_snapshot
from tests.kit import World


@dataclass
class Page(HTMLParser):
    """The parsed page. ``tables`` maps a caption to rows by the heads of their columns."""

    source: str
    tables: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    scripts: dict[str, str] = field(default_factory=dict)
    words: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self._texts: list[str] = []
        self._cells: list[str] = []
        self._heads: list[str] = []
        self._caption = self._open = ""
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the tag, and begin a text where it holds one."""
        self.tags.append((tag, dict(attrs)))
        if tag in ("th", "td", "caption", "script"):
            self._texts, self._open = [], dict(attrs).get("id") or ""
        if tag == "tr":
            self._cells = []

    def handle_data(self, data: str) -> None:
        """Collect text."""
        self._texts.append(data)
        if not self.tags or self.tags[-1][0] not in ("script", "style"):
            self.words += data

    def handle_endtag(self, tag: str) -> None:
        """Put away what is complete."""
        text = "".join(self._texts)
        if tag == "caption":
            self._caption, self._heads = text, []
            self.tables[text] = []
        elif tag in ("th", "td"):
            self._cells.append(text)
        elif tag == "tr" and not self._heads:
            self._heads = self._cells
        elif tag == "tr":
            row = dict(zip(self._heads, self._cells, strict=True))
            self.tables[self._caption].append(row)
        elif tag == "script":
            self.scripts[self._open] = text

    @property
    def figures(self) -> dict[str, Any]:
        """What is drawn."""
        found: dict[str, Any] = json.loads(self.scripts["figures"])
        return found

    @property
    def library(self) -> str:
        """The script that draws."""
        return gzip.decompress(base64.b64decode(self.scripts["library"])).decode()

    def table(self, begin: str) -> list[dict[str, str]]:
        """The rows of the table whose caption begins so."""
        return next(rows for caption, rows in self.tables.items() if caption.startswith(begin))

    def by_symbol(self, begin: str) -> dict[str, dict[str, str]]:
        """The same by their first cell."""
        return {row["Symbol"]: row for row in self.table(begin)}


def past_of(world: World, keep: Callable[[Source], Source] | None = None, **wanted: Any) -> Past:
    """What is read of a world for a report of this range; ``keep`` puts other sources in place."""
    scripts = world.make_scripts()
    snapshot = take_snapshot(scripts)
    sources = sources_of(scripts, snapshot)
    return read_past(list(map(keep, sources)) if keep else sources, snapshot, Range(**wanted))


def page_of(world: World, **wanted: Any) -> Page:
    """Its report."""
    return Page(page(past_of(world, **wanted), "1.2.3", "0123456789abcdef"))


def exposure_now(world: World) -> tuple[int, int]:
    """What the system itself has reserved."""
    stored = world.hash("exposure")
    return int(stored["bid_units"]), int(stored["ask_units"])
