"""The story of a symbol: what happened to it, and why, from the streams."""

from mm.explain.narrow import fill_of_order, of_fill, since, split_fill
from mm.explain.short import short_lines, short_text
from mm.explain.story import Story, explain

__all__ = [
    "Story",
    "explain",
    "fill_of_order",
    "of_fill",
    "short_lines",
    "short_text",
    "since",
    "split_fill",
]
