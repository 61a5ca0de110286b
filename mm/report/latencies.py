"""How long things took, by the instants that the streams hold: whole milliseconds."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

#: So many orders and fills that wait for their other end are kept at least.
KEPT = 100_000
#: The classes of the plot: the longest time of each, in ms. Longer ones are the last class.
CLASSES = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024)


@dataclass
class Spread:
    """How often each number of milliseconds was seen.

    ``backwards`` counts the times that a clock which was set back has made negative.
    """

    counts: Counter[int] = field(default_factory=Counter)
    backwards: int = 0

    def add(self, ms: int) -> None:
        """Add a time."""
        if ms < 0:
            self.backwards += 1
        else:
            self.counts[ms] += 1

    @property
    def total(self) -> int:
        """How many times there are."""
        return self.counts.total()

    def percentile(self, percent: int) -> int | None:
        """The time that so many per cent did not pass, None when there is none."""
        rank, seen = -(-self.total * percent // 100), 0
        for ms in sorted(self.counts):
            seen += self.counts[ms]
            if seen >= max(rank, 1):
                return ms
        return None

    def classes(self) -> list[int]:
        """How many times are in each of CLASSES, and in one more for those above."""
        found = [0] * (len(CLASSES) + 1)
        for ms, count in self.counts.items():
            at = next((at for at, most in enumerate(CLASSES) if ms <= most), len(CLASSES))
            found[at] += count
        return found


class Answers:
    """The time from each fill of a symbol to what first says that it includes it.

    ``from_first`` says that nothing before the first answer is missing. Without it the first one
    only shows from where on the answers are known.
    """

    def __init__(self, spread: Spread, from_first: bool) -> None:
        self._spread = spread
        self._waiting: deque[tuple[int, int]] = deque(maxlen=KEPT)
        self._known = (0, 0) if from_first else None

    @property
    def waiting(self) -> int:
        """How many fills have no answer yet."""
        return len(self._waiting)

    def fill(self, seq: int, ts_ms: int) -> None:
        """A fill. What answers it may have come before it in the same millisecond."""
        if self._known is not None and self._known[0] >= seq:
            self._spread.add(self._known[1] - ts_ms)
        else:
            self._waiting.append((seq, ts_ms))

    def answer(self, version: int, ts_ms: int) -> None:
        """Something that includes all fills up to this number."""
        while self._waiting and self._waiting[0][0] <= version:
            _, filled_ms = self._waiting.popleft()
            if self._known is not None:
                self._spread.add(ts_ms - filled_ms)
        if self._known is None or version > self._known[0]:
            self._known = (version, ts_ms)


class Latencies:
    """The three times that the streams tell, over all symbols that are asked for.

    ``taken``: from the entry of an order on the orders stream, which is when the exchange took it
    from its inbox, to its fill. ``committed``: from a fill to the position that includes it.
    ``quoted``: from a fill to the next quote that was computed from it.
    """

    def __init__(self, all_commits: bool, all_quotes: bool) -> None:
        self.taken, self.committed, self.quoted = Spread(), Spread(), Spread()
        self._all = {"committed": all_commits, "quoted": all_quotes}
        self._commits: dict[str, Answers] = {}
        self._quotes: dict[str, Answers] = {}
        self._orders: dict[tuple[str, str], int] = {}
        self._older: dict[tuple[str, str], int] = {}

    def order(self, client: str, order_id: str, ts_ms: int) -> None:
        """An order that the exchange took. Sent again, the first one counts."""
        if len(self._orders) >= KEPT:
            self._orders, self._older = {}, self._orders
        self._orders.setdefault((client, order_id), ts_ms)

    def fill(self, symbol: str, seq: int, client: str, order_id: str, ts_ms: int) -> None:
        """A fill."""
        order = (client, order_id)
        taken_ms = self._older.pop(order, None)
        newer_ms = self._orders.pop(order, None)
        if taken_ms is None:
            taken_ms = newer_ms
        if taken_ms is not None:
            self.taken.add(ts_ms - taken_ms)
        self._answers(self._commits, symbol).fill(seq, ts_ms)
        self._answers(self._quotes, symbol).fill(seq, ts_ms)

    def commit(self, symbol: str, version: int, ts_ms: int) -> None:
        """A committed position update."""
        self._answers(self._commits, symbol).answer(version, ts_ms)

    def quote(self, symbol: str, version: int, ts_ms: int) -> None:
        """A placement that got a quote, from the position of this version."""
        self._answers(self._quotes, symbol).answer(version, ts_ms)

    def _answers(self, answers: dict[str, Answers], symbol: str) -> Answers:
        found = answers.get(symbol)
        if found is None:
            spread = self.committed if answers is self._commits else self.quoted
            whole = self._all["committed" if answers is self._commits else "quoted"]
            found = answers[symbol] = Answers(spread, whole)
        return found

    @property
    def unquoted(self) -> int:
        """How many fills no quote has answered yet."""
        return sum(one.waiting for one in self._quotes.values())
