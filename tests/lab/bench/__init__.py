"""Tests of ``mm.lab.bench``."""
