"""Crashes of throwaway systems under load, and the checks after each."""

from mm.lab.chaos.plan import new_seed
from mm.lab.chaos.run import Chaos
from mm.lab.chaos.trial import ChaosOptions

__all__ = [
    "Chaos",
    "ChaosOptions",
    "new_seed",
]
