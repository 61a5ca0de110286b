"""``scripts/explore``: all worlds at length, and sampled traces again on a real server."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from multiprocessing import get_context

from mm.audit import audit
from mm.store import open_client
from mm.store.lua import assembled
from tests.hunts.explorer.parts import Violation
from tests.hunts.explorer.replay import ServerHost, compare, explained
from tests.hunts.explorer.search import Result, explore
from tests.hunts.explorer.worlds import FULL, WORLDS
from tests.kit.backends import Server, server_binary


def main(words: Sequence[str] | None = None) -> int:
    """Explore; 0 when nothing was found, 1 with the shortest trace otherwise."""
    parser = argparse.ArgumentParser(prog="scripts/explore", description=__doc__)
    parser.add_argument("--world", action="append", choices=sorted(WORLDS), help="only this one")
    parser.add_argument("--states", type=int, help="states of each world, at most")
    parser.add_argument("--workers", type=int, default=2, choices=(1, 2))
    parser.add_argument("--samples", type=int, default=5, help="traces of each to play again")
    parser.add_argument("--seed", type=int, default=1, help="chooses those traces")
    parser.add_argument("--server", choices=("valkey", "redis"), default="valkey")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    options = parser.parse_args(words)
    names = options.world or list(FULL)
    jobs = [(name, options.states or FULL[name], options.samples, options.seed) for name in names]
    started = time.perf_counter()
    results = []
    with get_context("spawn").Pool(options.workers, maxtasksperchild=1) as pool:
        for result in pool.imap_unordered(_one, jobs):
            results.append(result)
            _say(result.line())
            if result.violation:
                pool.terminate()
                _say(f"\nVIOLATION {result.violation}\nin the world {result.spec.name}, after:")
                _say("\n".join(explained(result.spec, result.trace)))
                return 1
    seconds = time.perf_counter() - started
    try:
        _shipped(results)
        played = _play(results, options.server)
    except Violation as violation:
        _say(f"\nVIOLATION {violation}")
        return 1
    _report(results, seconds, played, options.server, options.json)
    return 0


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _one(job: tuple[str, int, int, int]) -> Result:
    name, max_states, samples, seed = job
    return explore(WORLDS[name], max_states, samples, seed)


def _shipped(results: Sequence[Result]) -> None:
    """What ran is what ships: the scripts were called by the digests of the files."""
    for result in results:
        for name, digest in result.scripts.items():
            shipped = hashlib.sha1(assembled(name).encode(), usedforsecurity=False).hexdigest()
            if digest != shipped:
                raise Violation(
                    f"{result.spec.name} ran {name} as {digest}, shipped is {shipped}: if the file"
                    " was changed meanwhile, explore again"
                )


def _play(results: Sequence[Result], name: str) -> int:
    """Play the sampled traces on a real server, compare each state, and audit the last."""
    binary = server_binary("redis" if name == "redis" else "valkey")
    if binary is None:
        _say(f"no {name} server on this machine: no trace is played again")
        return 0
    server, played = Server(binary), 0
    try:
        for result in results:
            for trace in result.samples:
                host = ServerHost(open_client(server.url), clock=result.spec.ticks)
                compare(result.spec, trace, host)
                # The audit asks the server itself what time it is: a short window lies there.
                if not result.spec.rogue and result.spec.name != "window":
                    failed = [check for check in audit(host.scripts()).checks if not check.ok]
                    if failed:
                        raise Violation(f"audit after {trace}: {failed}")
                host.client.close()
                played += 1
    finally:
        server.stop()
    return played


def _report(
    results: Sequence[Result], seconds: float, played: int, server: str, as_json: bool
) -> None:
    figures = {
        "states": sum(result.states for result in results),
        "transitions": sum(result.transitions for result in results),
        "depth": max(result.depth for result in results),
        "seconds": round(seconds, 1),
        "traces_played_again": played,
        "server": server,
        "worlds": {
            result.spec.name: {
                "states": result.states,
                "transitions": result.transitions,
                "depth": result.depth,
                "complete": result.complete,
                "seconds": round(result.seconds, 1),
            }
            for result in results
        },
        "scripts": results[0].scripts,
    }
    if as_json:
        sys.stdout.write(json.dumps(figures, indent=2) + "\n")
        return
    sys.stdout.write(
        f"{figures['states']:,} distinct states, {figures['transitions']:,} transitions, depth"
        f" {figures['depth']}, {seconds:.0f} s; no violation; from every state the system drains."
        f" {played} traces played again on {server}, state by state the same.\n"
    )
