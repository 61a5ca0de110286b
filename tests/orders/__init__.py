"""Tests of ``mm.orders``."""
