"""Quote rules: the shipped ones by name, a user's own by module and function, and proofs."""

from mm.rule.load import SHIPPED, QuoteRule, load_rule
from mm.rule.proof import Proof, prove

__all__ = ["SHIPPED", "Proof", "QuoteRule", "load_rule", "prove"]
