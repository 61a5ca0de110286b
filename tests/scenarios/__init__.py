"""Scenarios by the rule that they defend."""
