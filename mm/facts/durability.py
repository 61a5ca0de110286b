"""What server and configuration together promise of an acknowledged write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mm.market import Durability

#: The words that risk nothing.
SOUND = ("always", "declared")


@dataclass(frozen=True)
class FoundDurability:
    """``always``, what an operator has declared, or a weaker one with the reasons why it is."""

    word: Literal["always", "declared", "relaxed", "unknown"]
    reasons: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether no acknowledged write can be lost, as far as it is known or declared."""
        return self.word in SOUND

    @property
    def text(self) -> str:
        """``durability always`` or ``declared``, or a weaker one in capitals."""
        word = self.word if self.sound else self.word.upper()
        return f"durability {word}"

    @property
    def warning(self) -> str:
        """One sentence on what a weaker durability risks; empty text where none is known."""
        if self.sound:
            return ""
        why = f" ({', '.join(self.reasons)})" if self.reasons else ""
        return f"{self.text}: acknowledged orders may be lost{why}"

    def facts(self) -> dict[str, object]:
        """The same for ``--json``."""
        return {"durability": self.word, "durability_reasons": list(self.reasons)}


def found_durability(configured: Durability, weak: Sequence[str] | None) -> FoundDurability:
    """The durability of a running system.

    ``weak`` are the server's settings with which an acknowledged write may be lost, or None when
    the server does not show its settings. ``configured`` is what the system's keys say.
    """
    if weak:
        return FoundDurability("relaxed", tuple(weak))
    if configured == "relaxed":
        return FoundDurability("relaxed", ("by configuration",))
    if configured == "declared" and weak is None:
        return FoundDurability("declared", ("by an operator: the server hides its settings",))
    if weak is None:
        return FoundDurability("unknown", ("the server does not show its settings",))
    return FoundDurability("always")
