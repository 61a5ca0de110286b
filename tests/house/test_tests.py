"""The tests themselves: what they share is in the kit, and nothing of them is shipped."""

from __future__ import annotations

import tomllib

from tests.house.checks import upward_imports
from tests.house.imports import House, Plan
from tests.house.plan import ROOT

#: The rooms of ``tests``, whose only band below the others is the kit.
ROOMS = House(ROOT / "tests", Plan(bands=[])).rooms
TESTS = House(ROOT / "tests", Plan(bands=[{"kit"}, ROOMS - {"kit"}]))
#: Fewer files than this mean that the search for them went blind.
LEAST_FILES = 90


def test_only_the_kit_is_shared() -> None:
    """Tests of one folder import nothing from another folder's tests: what they share is the kit's.

    So a hunt uses the kit and no test, and the kit uses neither.
    """
    assert len(TESTS.paths) >= LEAST_FILES
    assert upward_imports(TESTS) == []


def test_nothing_is_imported_from_a_test_file() -> None:
    """No file imports a test file or the fixtures' file: pytest alone runs them."""
    for module, one in TESTS.inner_imports():
        file = one.module.rpartition(".")[2]
        assert not file.startswith("test_"), f"{module} imports {one.module}"
        assert file != "conftest", f"{module} imports {one.module}"


def test_no_test_is_shipped() -> None:
    """The wheel has the packages of mm and no other."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["setuptools"]["packages"]["find"]["include"] == ["mm", "mm.*"]
