"""Tests of the scripts, one file a script."""
