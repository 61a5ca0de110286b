"""Rubbish in orders, tapes, configurations and command lines."""
