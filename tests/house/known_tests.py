"""The tests that the repository has, by the names that documents use: ``tests/FILE.py::NAME``."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from tests.house.imports import tree
from tests.house.plan import ROOT


@cache
def defined_tests(path: Path) -> frozenset[str]:
    """The tests of a file as ``NAME`` or ``CLASS::NAME``."""
    found = set()
    for node in tree(path).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        found |= {prefix + one.name for one in inner if isinstance(one, ast.FunctionDef)}
    return frozenset(name for name in found if name.rpartition("::")[2].startswith("test_"))


def missing_test(name: str) -> str | None:
    """Why ``tests/FILE.py::NAME`` is neither a test nor a class of tests, or None."""
    file, _, test = name.partition("::")
    path = ROOT / file
    if not path.is_file() or not path.name.startswith("test_"):
        return f"{file} is no test file"
    known = defined_tests(path)
    there = test in known or any(one.startswith(f"{test}::") for one in known)
    return None if there else f"{file} has no test {test}"
