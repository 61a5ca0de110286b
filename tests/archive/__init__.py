"""Tests of ``mm.archive``."""
