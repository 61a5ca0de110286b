"""Tests of the house itself: layout, headers, words, documents."""
