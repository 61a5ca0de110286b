"""The command line: parses and delegates."""

from mm.cli.main import main

__all__ = [
    "main",
]
