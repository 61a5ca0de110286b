"""Section ``scrape``: what serving figures to Prometheus costs the market, and one answer."""

from __future__ import annotations

import subprocess
import time

from mm.host import module_command, module_environment
from mm.lab.bench.drive import full_load
from mm.lab.bench.figure import Figure
from mm.lab.bench.options import SYMBOLS, BenchRun
from mm.lab.bench.sections.cpu import cpu_s
from mm.lab.bench.sections.view import WARM_S, moderate
from mm.lab.bench.world import DEEP_LOTS, World, deep_config
from mm.metrics import Exporter

#: The most symbols of a system whose answers are measured, and the answers of one measurement.
MOST_SYMBOLS, ANSWERS = 1_000, 10


class Scraper:
    """``mm/lab/bench/scraper.py`` beside a system that is measured; ``pid`` is its process id."""

    def __init__(self, world: World) -> None:
        words = [*module_command("mm.lab.bench.scraper"), world.data_dir.url, world.keys.prefix]
        self._process = subprocess.Popen(words, env=module_environment(), start_new_session=True)
        self.pid = self._process.pid

    def close(self) -> None:
        """End the program."""
        self._process.terminate()
        self._process.wait()


def measure_scrape(run: BenchRun) -> list[Figure]:
    """Pairs with a scrape each second and without, in turns; then the cost of one answer."""
    rates: list[float] = []
    server: list[float] = []
    shares: dict[str, list[float]] = {"at full load": [], "at 500/s": []}
    with run.world("scrape") as world:
        world.start_processes()
        full_load(world, "warm", run.size.orders // 4, run.seed, 1)
        for number in range(run.repeats):
            full: dict[bool, float] = {}
            used: dict[bool, float] = {}
            for scraped in (number % 2 == 0, number % 2 == 1):
                scraper = Scraper(world) if scraped else None
                try:
                    time.sleep(WARM_S)
                    name = f"m{number}{int(scraped)}"
                    before, began = _cpu_of(scraper), time.perf_counter()
                    full[scraped] = full_load(world, name, run.size.orders, run.seed, 1).rate
                    share = (_cpu_of(scraper) - before) / (time.perf_counter() - began)
                    pid = scraper.pid if scraper else None
                    used[scraped], percent = moderate(run, world, f"{name}m", pid)
                finally:
                    if scraper:
                        scraper.close()
                if scraped:
                    shares["at full load"].append(100 * share)
                    shares["at 500/s"].append(percent)
            rates.append(full[True] / full[False])
            server.append(used[True] / used[False])
    most = max(count for count in run.size.symbol_counts if count <= MOST_SYMBOLS)
    return [
        Figure("scrape", "orders committed at full load, scraped against not", "x", tuple(rates)),
        Figure("scrape", "server's time at 500/s, scraped against not", "x", tuple(server)),
        *(
            Figure("scrape", f"scraping and following {about}", "% core", tuple(found))
            for about, found in shares.items()
        ),
        *(figure for count in (SYMBOLS, most) for figure in _measure_answers(run, count)),
    ]


def _cpu_of(scraper: Scraper | None) -> float:
    return cpu_s(scraper.pid) if scraper else 0.0


def _measure_answers(run: BenchRun, count: int) -> list[Figure]:
    """What one answer takes of its process and of the server, with so many quoted symbols."""
    own: list[float] = []
    servers: list[float] = []
    size = 0
    with run.world(f"scrape-{count}", deep_config(count)) as world:
        # Nobody else sends commands meanwhile.
        world.quote_all(DEEP_LOTS)
        for _ in range(run.repeats):
            before, began = _server_s(world), time.process_time()
            for _ in range(ANSWERS):
                size = len(Exporter(lambda: world.scripts).text())
            own.append(1000 * (time.process_time() - began) / ANSWERS)
            servers.append(1000 * (_server_s(world) - before) / ANSWERS)
    about = f"an answer, {count:,} symbols"
    return [
        Figure("scrape", f"processor time of {about}", "ms", tuple(own), note=f"{size:,} bytes"),
        Figure("scrape", f"the server's commands for {about}", "ms", tuple(servers)),
    ]


def _server_s(world: World) -> float:
    """Seconds that the server has spent in commands."""
    stats = world.scripts.client.info("commandstats")
    return sum(float(one["usec"]) for one in stats.values()) / 1e6
