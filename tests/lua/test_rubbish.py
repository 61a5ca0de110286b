"""Rubbish on the order stream: it stops nothing, changes nothing, and is answered where it can be.

Every kind of malformed entry, then thousands of random ones. The seed stands in the test's name;
``MM_TEST_SEED=N`` replays another.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from mm.market import REASONS
from mm.store import execute
from tests.kit import SEEDS, MakeWorld, World, assert_sound
from tests.kit.rubbish import ID, NAMES, WORDS, judge, random_entry, state_of

GOOD_ID, GOOD_LINE = b"o1", b"c1 AAA buy 1 101"


def every_kind() -> Iterator[tuple[bytes, bytes]]:
    """Each bad name, each word in each place, each number of words, and raw bytes."""
    for name in NAMES:
        yield name, GOOD_LINE
    words = GOOD_LINE.split(b" ")
    for place in range(5):
        for word in WORDS:
            yield b"o1", b" ".join([*words[:place], word, *words[place + 1 :]])
    for count in range(9):
        yield b"o1", b" ".join((words * 2)[:count])
    for separator in (b"  ", b"\t", b"\n", b"\x00", b",", b"\r\n"):
        yield b"o1", separator.join(words)
    for around in (b" ", b"\n", b"\x00"):
        yield b"o1", around + GOOD_LINE
        yield b"o1", GOOD_LINE + around
    yield bytes(range(256)), bytes(range(256))
    yield b"o1", b"\xff" * 100_000


@pytest.fixture
def market(make_world: MakeWorld) -> World:
    """Both symbols quoted with plenty of room."""
    world = make_world(limit=5000, size=2000, of_symbol={"position_limit_lots": 4000})
    for name in world.names:
        world.propose(name)
    return world


class TestEveryKind:
    def test_one_by_one(self, market: World) -> None:
        """Each kind moves the cursor, is answered if it can be, and changes nothing unless good."""
        answers = 0
        for number, (given, line) in enumerate(every_kind()):
            # An id of its own where the id is not what is wrong, so that nothing is a duplicate.
            name = b"o%d" % number if given == GOOD_ID else given
            sender, worth = judge(name, line)
            before = state_of(market)
            entry = market.send_raw(name, line)
            done = market.scripts.match(10)
            said = f"{name!r} {line[:60]!r}"
            assert (done.cursor, done.orders) == (entry, 1), f"stuck at {said}"
            assert done.rejected == (worth != "good"), said
            if worth != "good":
                assert state_of(market) == before, f"changed by {said}"
            reports = market.reports(sender.decode()) if sender else []
            answers += bool(sender)
            if sender:
                last = reports[-1]
                assert last.order_id == (name.decode() if ID.fullmatch(name) else "-"), said
                assert (last.status == "rejected") == (worth != "good"), said
                assert last.reason == "" or last.reason in REASONS
        assert answers > 100
        market.drain()
        assert_sound(market)

    def test_all_in_one_batch(self, market: World) -> None:
        """All kinds in one batch between two good orders: both execute."""
        first, last = market.order(order_id="first"), market.order("sell", order_id="last")
        market.send(first)
        for name, line in every_kind():
            market.send_raw(name, line)
        end = market.send(last)
        assert market.scripts.match(10_000).cursor == end
        assert market.report(first).status == market.report(last).status == "filled"
        market.drain()
        assert_sound(market)

    def test_dead_letters_are_verbatim(self, market: World) -> None:
        """Whatever was rejected stands on the dead-letter stream byte for byte, in order."""
        expected: list[bytes] = []
        used: dict[tuple[bytes, bytes], bytes] = {}
        for name, line in every_kind():
            market.send_raw(name, line)
            sender, worth = judge(name, line)
            known = used.get((sender, name)) if sender else None
            # Under a used id the same order is a duplicate, and any other one a conflict.
            if worth == "bad" or known not in (None, line) or (worth == "unknown" and not known):
                expected.append(name + b" " + line)
            if sender and ID.fullmatch(name):
                used.setdefault((sender, name), line)
        market.scripts.match(10_000)
        entries = execute(market.client, "XRANGE", market.keys.named("deadletter"), "-", "+")
        assert [fields[b"raw"] for _, fields in entries] == expected


class TestRandom:
    @pytest.mark.parametrize("seed", SEEDS)
    def test_thousands(self, market: World, seed: int) -> None:
        """Thousands of random records: every one read once, answered once, the rest untouched."""
        rng, sent, answers = random.Random(seed), 0, Counter[str]()
        formed = 0
        for _ in range(20):
            for _ in range(60):
                records = random_entry(rng)
                sent += len(records)
                for name, line in records:
                    sender, worth = judge(name, line)
                    formed += worth == "good"
                    if sender:
                        answers[sender.decode()] += 1
                end = market.send_raw(*(word for record in records for word in record))
            done = market.scripts.match(100_000)
            assert done.cursor == end
            assert not done.more
            market.scripts.commit(100_000)
        assert market.hash("cursors")["exchange_records"] == str(sent)
        assert sent > 2_500
        assert formed > 200
        for client, count in answers.items():
            assert len(market.reports(client)) == count
        market.drain()
        assert_sound(market)
