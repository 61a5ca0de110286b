"""Tests of ``mm.market``."""
