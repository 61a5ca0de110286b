"""Tests of ``mm.terminal``."""
