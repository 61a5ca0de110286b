"""Tests of the archivist."""
