"""The story of a symbol: what happened to it, and why, from the streams."""

from mm.explain.story import Story, explain

__all__ = [
    "Story",
    "explain",
]
