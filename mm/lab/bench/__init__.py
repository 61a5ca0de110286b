"""Throughput, latency and cost of throwaway systems."""

from mm.lab.bench.against import AgainstOptions, run_against
from mm.lab.bench.compare import Comparison, comparison_table
from mm.lab.bench.figure import Result
from mm.lab.bench.options import QUICK, BenchOptions, Size
from mm.lab.bench.progress import ProgressLine, Step
from mm.lab.bench.run import SECTIONS, run_bench
from mm.lab.bench.show import bench_table, check_picture, draw_picture

__all__ = [
    "QUICK",
    "SECTIONS",
    "AgainstOptions",
    "BenchOptions",
    "Comparison",
    "ProgressLine",
    "Result",
    "Size",
    "Step",
    "bench_table",
    "check_picture",
    "comparison_table",
    "draw_picture",
    "run_against",
    "run_bench",
]
