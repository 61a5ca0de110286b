"""Tests of ``mm.facts``."""
