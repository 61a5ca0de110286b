"""What every answer says of the system beside what it was asked for."""

from __future__ import annotations

from dataclasses import dataclass

from mm.facts.durability import FoundDurability, found_durability
from mm.facts.stoppage import Stoppage
from mm.facts.trouble import stoppages_at_rest, stoppages_now
from mm.store import Scripts, durability_settings


@dataclass(frozen=True)
class SystemState:
    """What stops trading now, and what the system promises of an acknowledged write."""

    stopped: list[Stoppage]
    durability: FoundDurability

    @classmethod
    def now(cls, scripts: Scripts, at_rest: bool = False) -> SystemState:
        """The state now. Never raises: a system that cannot be read is what stops trading.

        ``at_rest`` says that these are the scripts of a private server over a stopped system.
        """
        stopped = stoppages_at_rest(scripts) if at_rest else stoppages_now(scripts)
        return cls(stopped, found_durability(*durability_settings(scripts)))

    def facts(self) -> dict[str, object]:
        """The same for JSON that is an object."""
        return self.durability.facts() | {"trouble": [one.words for one in self.stopped]}
