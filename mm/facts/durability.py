"""What server and configuration together promise of an acknowledged write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mm.market import Durability


@dataclass(frozen=True)
class FoundDurability:
    """``always``, or a weaker durability with the reasons why it is weaker."""

    word: Literal["always", "relaxed", "unknown"]
    reasons: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """``durability always``, or a weaker one in capitals."""
        word = self.word if self.word == "always" else self.word.upper()
        return f"durability {word}"

    @property
    def warning(self) -> str:
        """One sentence on what a weaker durability risks; empty text for ``always``."""
        if self.word == "always":
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
    if weak is None:
        return FoundDurability("unknown", ("the server does not show its settings",))
    return FoundDurability("always")
