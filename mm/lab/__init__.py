"""Benchmark, chaos and demonstration on throwaway systems. Only the command line imports them."""
