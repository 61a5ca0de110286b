"""One partition's load, in a program of its own: ``python -m mm.lab.bench.sender``.

Its arguments are the data directory, the key prefix of the partition, the name of the run, the
number of orders and the seed. It says ``ready`` when all is prepared, begins at the first line of
its standard input, and prints what it measured as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from mm.host import DataDir
from mm.lab.bench.drive import full_load
from mm.lab.bench.figure import Result
from mm.lab.bench.measured import Part
from mm.store import Keys


def main(arguments: Sequence[str]) -> None:
    """Run with these arguments."""
    directory, prefix, run, orders, seed = arguments
    part = Part(DataDir(Path(directory)), Keys(prefix), Result(), run)
    part.wait(part.all_quoted, "every symbol to be quoted")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    found = full_load(part, run, int(orders), int(seed), 1)
    part.close()
    sys.stdout.write(json.dumps(asdict(found)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
