"""Tests of ``mm.audit``."""
