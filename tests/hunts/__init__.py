"""Searches for bugs: explorer, mutation, fuzzing, cut logs. Never shipped."""
