"""Tests of ``mm.records``."""
