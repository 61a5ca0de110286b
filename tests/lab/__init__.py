"""Tests of ``mm.lab``."""
