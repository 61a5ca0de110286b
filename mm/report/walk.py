"""One pass over all that happened, in the order of time, over every stream and partition."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from mm.records import Entry, Source, StreamName
from mm.store import stream_id_order

#: The streams in the order in which they come at one instant: what causes comes before its effect.
#: A quote stands before the fills of its instant, which name the quote that they hit.
ORDER: tuple[StreamName, ...] = ("orders", "quotes", "fills", "positions")


class Step(NamedTuple):
    """An entry, the stream that has it, and the number of its partition."""

    stream: StreamName
    part: int
    entry: Entry


def walk(sources: Sequence[Source], since: Mapping[StreamName, int]) -> Iterator[Step]:
    """The entries of the streams named in ``since``, each from its instant on, oldest first."""
    every = [
        map(partial(Step, name, part), source.entries(name, since_ms))
        for part, source in enumerate(sources)
        for name, since_ms in since.items()
    ]
    return heapq.merge(*every, key=_place)


def _place(step: Step) -> tuple[int, int, int, int]:
    ms, number = stream_id_order(step.entry.entry_id)
    return ms, ORDER.index(step.stream), step.part, number
