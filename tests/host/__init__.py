"""Tests of mm.host."""
