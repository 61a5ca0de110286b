"""Rubbish for the order stream, and what each record is worth by the rules.

What a record is worth is judged here from docs/RULES.md (R1, R12, R14), not by the code under test.
"""

from __future__ import annotations

import random
import re
from typing import Literal

from mm.market import MAX_INT
from tests.kit.world import World

ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
SYMBOL = re.compile(rb"[A-Z0-9._-]{1,16}")
NUMBER = re.compile(rb"[0-9]{1,16}")

#: Names that are no order id.
NAMES = (b"", b" ", b"-", b"\x00", b"\xff\xfe", b"a b", b"a\nb", b"a/b", b"o" * 65, "ö".encode())
#: Words, most of which are wrong in any place of an order.
WORDS = (
    b"",
    b" ",
    b"-",
    b"0",
    b"-1",
    b"+1",
    b"01",
    b"1.0",
    b"1e3",
    b"0x1",
    b"nan",
    b"-inf",
    b"9" * 15,
    b"9" * 16,
    b"9" * 17,
    b"9" * 400,
    str(MAX_INT).encode(),
    str(MAX_INT + 1).encode(),
    b"\x00",
    b"1\x00",
    b"\xff",
    b"buy",
    b"BUY",
    b"AAA",
    b"aaa",
    b"ZZZ",
    b"%d",
    b"%s%n",
    b"'); DROP",
    b"1\n",
    b"\t",
    "½".encode(),
    "٣".encode(),
    b"x" * 5000,
)


def judge(name: bytes, line: bytes) -> tuple[bytes | None, Literal["good", "unknown", "bad"]]:
    """The client id that can be answered, if any, and what the record is worth as an order."""
    words = line.split(b" ")
    if len(words) != 5 or any(not re.fullmatch(rb"[^ \t\n\v\f\r]+", word) for word in words):
        return None, "bad"
    sender = words[0] if ID.fullmatch(words[0]) else None
    if sender is None or not ID.fullmatch(name):
        return sender, "bad"
    numbers = [NUMBER.fullmatch(word) and 0 < int(word) <= MAX_INT for word in words[3:]]
    if not (SYMBOL.fullmatch(words[1]) and words[2] in (b"buy", b"sell") and all(numbers)):
        return sender, "bad"
    return sender, "good" if words[1] in (b"AAA", b"BBB") else "unknown"


def random_entry(rng: random.Random) -> list[tuple[bytes, bytes]]:
    """One to four records with different names, most of them damaged."""
    records = {}
    for _ in range(rng.randint(1, 4)):
        name = rng.choice((b"o%d" % rng.randrange(400), rng.choice(NAMES)))
        words = [
            b"c%d" % rng.randrange(5),
            rng.choice((b"AAA", b"BBB", b"ZZZ")),
            rng.choice((b"buy", b"sell")),
            b"%d" % rng.randint(1, 3),
            b"%d" % rng.randint(90, 110),
        ]
        if rng.random() < 0.6:
            words[rng.randrange(5)] = rng.choice(WORDS[:-1])
        line = b" ".join(words[: rng.choice((5, 5, 5, 5, rng.randrange(6)))])
        if rng.random() < 0.2:
            line = rng.randbytes(rng.randrange(40))
        records[name] = line
    return list(records.items())


def state_of(world: World) -> object:
    """What only a good order may change: quotes, totals, the length of the ledger."""
    quotes = [world.hash("quote:*", name) for name in world.names]
    return quotes, world.reserved(), len(world.fills())
