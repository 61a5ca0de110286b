"""The chain of a symbol's archived fills: each link depends on the fill and on all before it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

#: Bytes of a link: enough that nobody finds another fill with the same one.
LINK_BYTES = 16
_HEAD = re.compile(rf"([1-9][0-9]{{0,15}}) ([0-9a-f]{{{2 * LINK_BYTES}}})")


@dataclass(frozen=True)
class Head:
    """The newest archived fill of a symbol: its number, and its link in the chain.

    The number 0 with no link stands before the first fill.
    """

    number: int = 0
    link: bytes = b""

    @property
    def text(self) -> str:
        """The head as the keys hold it: ``number link``, the link as hex digits."""
        return f"{self.number} {self.link.hex()}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """Read such a text; ValueError when it is none."""
        words = _HEAD.fullmatch(text)
        if not words:
            raise ValueError(f"{text!r} is no head of a chain")
        return cls(int(words[1]), bytes.fromhex(words[2]))


def link(before: bytes, symbol: str, number: int, ms: int, seq: int, line: str) -> bytes:
    """The link of a fill: it covers its symbol, number, entry id and line, and the link before."""
    words = f"{symbol} {number} {ms}-{seq} {line}".encode()
    return hashlib.blake2b(before + words, digest_size=LINK_BYTES).digest()
