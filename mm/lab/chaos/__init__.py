"""Crashes of a throwaway system under load, and their judgement."""

from mm.lab.chaos.plan import new_seed
from mm.lab.chaos.run import Chaos, ChaosOptions

__all__ = [
    "Chaos",
    "ChaosOptions",
    "new_seed",
]
