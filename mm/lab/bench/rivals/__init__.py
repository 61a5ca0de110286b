"""The ordinary alternatives: programs that do the same work, each run by itself."""
