"""Tests of the face for users and of the command line."""
