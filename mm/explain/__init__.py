"""The story of a symbol, told from the streams."""

from mm.explain.story import Story, explain

__all__ = [
    "Story",
    "explain",
]
