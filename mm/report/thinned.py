"""A long series of points of which few are kept, chosen so that its extremes stay."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
#: The spans of a plot of the whole, and of all plots of single symbols together.
WHOLE_SPANS, SYMBOL_SPANS = 500, 6_000
#: The least and the most spans of a plot of one symbol.
LEAST_SPANS, MOST_SPANS = 40, 300


def symbol_spans(symbols: int) -> int:
    """The spans of each plot of one symbol when there are so many symbols."""
    return max(LEAST_SPANS, min(MOST_SPANS, SYMBOL_SPANS // max(symbols, 1)))


class Point(NamedTuple, Generic[T]):
    """An instant, the value by which points are chosen, what it shows, and its place among all."""

    ts_ms: int
    value: int
    shows: T
    place: int


class _Span(Generic[T]):
    """The first, the lowest, the highest and the last point of a span of time."""

    __slots__ = ("first", "high", "last", "low")

    def __init__(self, point: Point[T]) -> None:
        self.first = self.low = self.high = self.last = point

    def add(self, other: _Span[T]) -> None:
        """Take in a span that comes later."""
        if other.low.value < self.low.value:
            self.low = other.low
        if other.high.value > self.high.value:
            self.high = other.high
        self.last = other.last


class Thinned(Generic[T]):
    """Points in the order of their time, at most four for each of ``most`` spans of equal length.

    The spans grow with the series. Each keeps its first, lowest, highest and last point, so no peak
    is lost. ``seen`` counts all points.
    """

    def __init__(self, most: int) -> None:
        self.seen = 0
        self.span_ms = 1
        self._most = most
        self._spans: dict[int, _Span[T]] = {}

    def add(self, ts_ms: int, value: int, shows: T) -> None:
        """Add a point that is no earlier than those before it."""
        point = Point(ts_ms, value, shows, self.seen)
        self.seen += 1
        self._put(self._spans, ts_ms // self.span_ms, _Span(point))
        while len(self._spans) > self._most:
            self.span_ms *= 2
            wider: dict[int, _Span[T]] = {}
            for number, span in self._spans.items():
                self._put(wider, number // 2, span)
            self._spans = wider

    @staticmethod
    def _put(spans: dict[int, _Span[T]], number: int, span: _Span[T]) -> None:
        if number in spans:
            spans[number].add(span)
        else:
            spans[number] = span

    def points(self) -> list[Point[T]]:
        """The points that are kept, in their order."""
        found: dict[int, Point[T]] = {}
        for span in self._spans.values():
            for point in (span.first, span.low, span.high, span.last):
                found[point.place] = point
        return [found[place] for place in sorted(found)]

    @property
    def thinned(self) -> bool:
        """Whether some points are not kept."""
        return len(self.points()) < self.seen
