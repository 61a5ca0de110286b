"""A program that serves nobody: it scrapes a system each second and follows its orders.

``python -m mm.lab.bench.scraper URL PREFIX`` does what a server of ``/metrics`` does for one
Prometheus, without HTTP, until it is stopped.
"""

from __future__ import annotations

import sys

from mm.interrupts import stop_on_signals
from mm.metrics import Exporter
from mm.store import VIEWER, Keys, Scripts, open_client

#: Seconds from one scrape to the next: often, beside the 15 that are usual.
EVERY_S = 1.0


def main(url: str, prefix: str) -> None:
    """Scrape and follow until a signal comes."""
    keys, stop = Keys(prefix), stop_on_signals()
    scripts = Scripts(open_client(url, user=VIEWER), keys)
    exporter = Exporter(lambda: scripts)
    exporter.begin()
    while not stop.wait(EVERY_S):
        exporter.text()
    exporter.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
