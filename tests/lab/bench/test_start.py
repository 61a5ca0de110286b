"""Section start of the benchmark: what a program's start costs, and one that fails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mm.lab.bench.sections.start import measure_start_of, processor_s

PYTHON = [sys.executable, "-I", "-S"]


def test_a_start_that_does_more_costs_more() -> None:
    """It is what the program computes, not how long it waits."""
    nothing = processor_s("nothing", [*PYTHON, "-c", "pass"], {})
    waits = processor_s("waits", [*PYTHON, "-c", "import time; time.sleep(0.5)"], {})
    loads = processor_s("computes", [*PYTHON, "-c", "for _ in range(5_000_000): pass"], {})
    assert 0 < nothing < loads
    assert waits < loads


def test_a_program_that_fails_is_named() -> None:
    """A start that ends in an error is no measurement."""
    with pytest.raises(OSError, match=r"^mm rubbish: .*3"):
        processor_s("mm rubbish", [*PYTHON, "-c", "raise SystemExit(3)"], {})


def test_the_start_of_another_tree(tmp_path: Path) -> None:
    """Its own package is started, with this interpreter and its libraries."""
    package = tmp_path / "mm"
    package.mkdir()
    for name in ("__init__", "__main__"):
        lines = ["OrderClient = 1", f"open({str(tmp_path / name)!r}, 'w').close()"]
        (package / f"{name}.py").write_text("\n".join(lines), encoding="utf-8")
    found = {one.name: one for one in measure_start_of(tmp_path, 1)}
    assert found.keys() == {
        "mm --help, in starts of Python",
        "mm --help, in starts of click, redis and rich",
        "import of OrderClient, in starts of Python",
    }
    assert all(one.median > 0 and len(one.values) == 1 for one in found.values())
    assert (tmp_path / "__init__").exists() and (tmp_path / "__main__").exists()
