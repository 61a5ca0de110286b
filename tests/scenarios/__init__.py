"""Scenarios by the rules of docs/RULES.md that they defend.

``test_durability``: R18. ``test_retrying``: R20. ``test_clock``: R3, R13, R17. ``test_fairness``:
R4, R11. ``test_bad_keys``: R9, R15, R19. ``test_steps``: R19. ``test_failures``: R5, R8, R9, R19,
R20. ``test_peers``: R1 to R3, R5, R8, R9, R11 to R13, R15, R16, R19.
"""
