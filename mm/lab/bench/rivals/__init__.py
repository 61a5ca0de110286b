"""Rivals: programs that do the same work in ordinary ways. Each runs by itself."""
