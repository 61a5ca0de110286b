"""Tests of ``mm.store``."""
