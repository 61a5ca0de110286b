"""The story of a symbol: what happened to it, and why, from the streams."""

from mm.explain.asked import asked_story, check_asked
from mm.explain.lives import life_step
from mm.explain.narrow import fill_of_order, of_fill, since, split_fill
from mm.explain.short import short_lines, short_text
from mm.explain.story import Story, explain
from mm.explain.words import operation_step

__all__ = [
    "Story",
    "asked_story",
    "check_asked",
    "explain",
    "fill_of_order",
    "life_step",
    "of_fill",
    "operation_step",
    "short_lines",
    "short_text",
    "since",
    "split_fill",
]
