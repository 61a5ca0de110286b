"""The sections of the benchmark, one a module."""
