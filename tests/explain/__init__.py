"""Tests of ``mm.explain``."""
