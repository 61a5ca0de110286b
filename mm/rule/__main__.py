"""Prints the digest of a rule's answers: the second interpreter of a proof.

``python -m mm.rule NAME CASES SEED``, with the configuration on standard input.
"""

import sys

from mm.market import parse_config
from mm.rule.load import load_rule
from mm.rule.proof import digest, positions

if __name__ == "__main__":
    name, cases, seed = sys.argv[1:]
    rule, config = load_rule(name), parse_config(sys.stdin.read())
    asked = positions(config, int(cases), int(seed))
    answers = [rule.prices(*one, config.notional_units(one[1])) for one in asked]
    sys.stdout.write(digest(answers) + "\n")
