"""Throughput, latency and cost of throwaway systems."""

from mm.lab.bench.options import QUICK, BenchOptions, Size
from mm.lab.bench.run import SECTIONS, run_bench
from mm.lab.bench.show import bench_table, check_picture, draw_picture

__all__ = [
    "QUICK",
    "SECTIONS",
    "BenchOptions",
    "Size",
    "bench_table",
    "check_picture",
    "draw_picture",
    "run_bench",
]
