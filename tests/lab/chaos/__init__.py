"""Tests of ``mm.lab.chaos``."""
