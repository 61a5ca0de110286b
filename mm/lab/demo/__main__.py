"""``python -m mm.lab.demo``: play every scene; exit status 1 if a fact does not hold."""

import argparse
import subprocess
import sys

from redis.exceptions import RedisError
from rich.console import Console

from mm.errors import MMError
from mm.interrupts import Interrupted, interrupted_by_signals
from mm.lab.demo.market import FactFailed, Market
from mm.lab.demo.scenes import play
from mm.streams import make_streams_safe


def main() -> int:
    """Play the scenes; returns the exit status, 128 + its number after a signal."""
    argparse.ArgumentParser(
        prog="python -m mm.lab.demo",
        description="Play the most telling failures on a throwaway market.",
    ).parse_args()
    make_streams_safe()
    console = Console(highlight=False)
    with interrupted_by_signals():
        try:
            with Market(console) as market:
                play(market, console)
            console.print("\n[bold green]All facts held. Nothing is left behind.[/]")
        except (FactFailed, MMError, RedisError, OSError, subprocess.TimeoutExpired) as error:
            console.print(str(error), style="bold red", markup=False)
            return 1
        except Interrupted as error:
            console.print(f"\n{error}: everything was ended")
            return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
