"""The log of a busy run cut at any byte: start, audit, trade on, kill -9, start again, audit.

``scripts/log-cut`` runs the long version; tests/hunts/test_log_cut.py a short, seeded one.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from mm.host import ManagedServer, find_binary, identify
from tests.kit import server_binary
from tests.kit.crash import (
    KillableServer,
    assert_audited,
    assert_same_keys,
    killable_server,
    live_keys,
    tear,
)
from tests.kit.log import Recording, record
from tests.kit.trader import Trader


def check_cut(
    made: KillableServer, log: Recording, cut: int, seed: int, torn_tail: bool = False
) -> None:
    """One cut: raises AssertionError when anything acknowledged is lost or the audit fails.

    ``torn_tail`` adds a third start, after a kill that left a torn transaction in the log.
    """
    what = f"{made.name} cut at {cut} of {log.size} seed {seed}"
    made.copy_log(log.path, cut)
    try:
        made.start()
        world = made.world()
        assert_same_keys(world, f"{what}, first start", *log.states_at(cut))
        for start in ("second start", "third start")[: 2 if torn_tail else 1]:
            trader = Trader(world, seed, ident=f"{start[0]}{cut}-")
            # As every process does when it connects.
            trader.expire()
            assert_audited(world, f"{what}, before {start}")
            trader.trade(12)
            acknowledged = live_keys(world)
            made.kill()
            if start == "second start" and torn_tail:
                tear(made)
            made.start()
            world = made.world()
            assert_same_keys(world, f"{what}, {start}", acknowledged)
        Trader(world, seed, ident=f"z{cut}-").settle()
        assert_audited(world, f"{what}, at the end", quiescent=True)
    finally:
        made.kill()


class Unrepaired(ManagedServer):
    """The managed server without its repair: to see that the tests notice."""

    def _repair(self) -> Iterator[float]:
        return iter(())


def binaries() -> dict[str, Path]:
    """The servers of this machine by name."""
    found = {"valkey": server_binary("valkey"), "redis": server_binary("redis")}
    return {name: Path(path) for name, path in found.items() if path}


def _run_cuts(binary: Path, log: Recording, cuts: list[tuple[int, int, bool]]) -> list[str]:
    failures = []
    for cut, seed, torn_tail in cuts:
        with killable_server(binary) as made:
            try:
                check_cut(made, log, cut, seed, torn_tail)
            except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001  # whatever it is, it is a finding of this cut
                failures.append(f"cut {cut} seed {seed}: {type(error).__name__}: {error}")
    return failures


def main() -> int:
    """Cut at every byte of the last steps and at random offsets; exit status 1 on any loss."""
    parser = argparse.ArgumentParser(prog="scripts/log-cut", description=__doc__)
    parser.add_argument("--server", help="only this server: a path or a command")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=400, help="single steps in the recorded run")
    parser.add_argument("--last", type=int, default=6, help="last steps, to cut at every byte")
    parser.add_argument("--random", type=int, default=2_000, help="random offsets")
    parser.add_argument("--jobs", type=int, default=2, help="cuts at the same time")
    given = parser.parse_args()
    servers = binaries()
    if given.server:
        binary = find_binary(given.server)
        servers = {identify(binary)[0]: binary}
    failed = 0
    for name, binary in servers.items():
        failed += _report(name, binary, given)
    return 1 if failed else 0


def _report(name: str, binary: Path, given: argparse.Namespace) -> int:
    began = time.monotonic()
    dice = random.Random(given.seed)
    with record(binary, given.seed, given.steps) as log:
        offsets = log.last_steps(given.last)
        exact = len(offsets)
        offsets += [dice.randrange(log.start, log.size + 1) for _ in range(given.random)]
        # Every tenth goes through a third start after a torn write.
        cuts = [(cut, given.seed + i, i % 10 == 0) for i, cut in enumerate(offsets)]
        shares = [cuts[i :: given.jobs * 8] for i in range(given.jobs * 8)]
        failures: list[str] = []
        with ProcessPoolExecutor(given.jobs) as pool:
            tasks = [pool.submit(_run_cuts, binary, log, share) for share in shares]
            for task in tasks:
                failures += task.result()
        sys.stdout.write(
            f"{name} {identify(binary)[1]}: log of {given.steps} steps, {log.size} bytes; cut at"
            f" every byte of the last {given.last} writing steps ({exact}) and at {given.random}"
            f" random offsets, each started twice, {len(cuts[::10])} three times:"
            f" {len(failures)} failures, {time.monotonic() - began:.0f} s, seed {given.seed}\n"
        )
    for line in failures[:20]:
        sys.stdout.write(f"  {line}\n")
    return len(failures)


if __name__ == "__main__":
    sys.exit(main())
