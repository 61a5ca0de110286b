"""The bands of the house: who may import whom, and what from outside.

``plan`` says what is allowed. Small bad houses show that each check sees what it is for.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp
from textwrap import dedent

import pytest

from tests.house.checks import (
    circles,
    imports_past_a_face,
    inexact_faces,
    intrusions,
    misplaced_packages,
    unclear_imports,
    unplaced_rooms,
    upward_imports,
)
from tests.house.imports import House, Plan
from tests.house.plan import HOUSE

#: Fewer files than this mean that the search for them went blind.
LEAST_MODULES = 90
CHECKS = [
    unplaced_rooms,
    upward_imports,
    imports_past_a_face,
    inexact_faces,
    circles,
    misplaced_packages,
    intrusions,
    unclear_imports,
]


# --- this house


def test_every_module_is_seen() -> None:
    """The search sees every module, in folders of folders too, and reads what they import."""
    assert len(HOUSE.paths) >= LEAST_MODULES
    assert {"mm", "mm.errors", "mm.store.keys", "mm.lab.bench.sections.raw"} <= set(HOUSE.paths)
    assert sum(map(len, HOUSE.imports.values())) > 5 * LEAST_MODULES


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_house_is_as_planned(check: Callable[[House], list[str]]) -> None:
    """No module imports what the plan does not allow it, nor in a form that hides it."""
    assert check(HOUSE) == []


@pytest.mark.parametrize("package", sorted(HOUSE.packages - {"mm.lab"}))
def test_what_a_face_lists_exists(package: str) -> None:
    """Each name in the ``__all__`` of a package can be imported from it."""
    for name in HOUSE.offered(package):
        assert hasattr(import_module(package), name), name


def test_the_command_line_starts_light() -> None:
    """Starting a command line imports no command, so neither the lab nor what draws."""
    started = HOUSE.started("mm.__main__")
    assert {"click", "mm.cli.main", "mm.errors"} <= started
    assert {one for one in started if one.startswith("mm.cli.")} == {"mm.cli.main"}
    assert not {one for one in started if one.startswith(("mm.lab", "mm.terminal", "rich"))}


# --- bad houses

GOOD = {
    "__init__.py": "",
    "low.py": "",
    "store/__init__.py": """
        from mm.store.keys import key
        __all__ = ["key"]
    """,
    "store/keys.py": "def key(): ...",
    "orders.py": "from mm.store import key",
    "lab/__init__.py": "",
    "lab/chaos/__init__.py": """
        from mm.lab.chaos.run import run
        __all__ = ["run"]
    """,
    "lab/chaos/run.py": """
        import redis
        from mm.orders import send
        def run():
            import drawing
    """,
    "lab/bench.py": "",
    "cli.py": "from mm.lab.chaos import run",
}
BANDS = [{"low"}, {"store"}, {"orders"}, {"lab.chaos", "lab.bench"}, {"cli"}]


Build = Callable[[dict[str, str]], House]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Builds a small good house with some files changed."""

    def make(files: dict[str, str]) -> House:
        folder = Path(mkdtemp(dir=tmp_path)) / "mm"
        for name, text in (GOOD | files).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text))
        plan = Plan(
            bands=BANDS,
            outside={"redis": {"lab.chaos"}, "drawing": {"lab.chaos"}},
            optional=frozenset({"drawing"}),
            parted=frozenset({"lab"}),
            private={"lab": {"cli"}},
        )
        return House(folder, plan)

    return make


def test_a_good_house_has_no_violation(build: Build) -> None:
    """The small house itself passes every check, so what follows is due to the one change."""
    house = build({})
    assert [line for check in CHECKS for line in check(house)] == []


@pytest.mark.parametrize(
    ("check", "files", "violation"),
    [
        # bands
        (unplaced_rooms, {"new.py": ""}, "new stands in 0 bands"),
        (unplaced_rooms, {"lab/demo.py": ""}, "lab.demo stands in 0 bands"),
        (upward_imports, {"low.py": "from mm.store import key"}, "low:1 imports mm.store"),
        (upward_imports, {"low.py": "import mm.orders"}, "low:1 imports mm.orders"),
        (upward_imports, {"low.py": "from mm import orders"}, "low:1 imports mm.orders"),
        (upward_imports, {"low.py": "def f():\n  from mm.cli import x"}, "low:2 imports mm.cli"),
        (upward_imports, {"low.py": "if TYPE_CHECKING:\n  import mm.cli"}, "low:2 imports mm.cli"),
        (upward_imports, {"low.py": "if not TYPE_CHECKING: import mm.cli"}, "low:1 imports mm.cli"),
        (upward_imports, {"low.py": "run('-m', 'mm.lab.bench')"}, "low:1 imports mm.lab.bench"),
        (upward_imports, {"low.py": "name = f'mm.lab.{part}'"}, "low:1 imports mm.lab"),
        (
            upward_imports,
            {"lab/bench.py": "from mm.lab.chaos import run"},
            "lab.bench:1 imports mm.lab.chaos",
        ),
        (upward_imports, {"store/keys.py": "import mm.orders"}, "store.keys:1 imports mm.orders"),
        # faces
        (
            imports_past_a_face,
            {"orders.py": "from mm.store.keys import key"},
            "orders:1 imports mm.store.keys, past the face of mm.store",
        ),
        (
            imports_past_a_face,
            {"orders.py": "from mm.store import keys"},
            "orders:1 imports mm.store.keys, past the face",
        ),
        (
            imports_past_a_face,
            {"orders.py": "from mm.store import other"},
            "orders:1 imports other, which mm.store does not offer",
        ),
        (
            imports_past_a_face,
            {"orders.py": "from mm import Order"},
            "orders:1 imports Order, which mm does not offer",
        ),
        (
            imports_past_a_face,
            {"cli.py": "from mm.lab.chaos.run import run"},
            "cli:1 imports mm.lab.chaos.run, past the face of mm.lab.chaos",
        ),
        (inexact_faces, {"store/__init__.py": ""}, "mm.store has no __all__"),
        (inexact_faces, {"lab/chaos/deep/a.py": ""}, "mm.lab.chaos.deep has no __init__.py"),
        (
            inexact_faces,
            {"store/__init__.py": "from mm.store.keys import key\n__all__ = ['key', 'key']"},
            "mm.store lists a name twice",
        ),
        (
            inexact_faces,
            {"store/__init__.py": "from mm.store.keys import a, b\n__all__ = ['a', 'c']"},
            "mm.store: __all__ and imports differ by ['b', 'c']",
        ),
        # circles
        (
            circles,
            {"store/keys.py": "from mm.store.a import a", "store/a.py": "import mm.store.keys"},
            "a circle: ",
        ),
        (
            circles,
            {
                "store/keys.py": "import mm.store.a",
                "store/a.py": "import mm.store.b",
                "store/b.py": "def f():\n  import mm.store.keys",
            },
            "mm.store.keys -> ",
        ),
        (
            circles,
            {"store/a.py": "from mm.store import key"},
            "mm.store.a:1 imports its own face",
        ),
        # packages from outside
        (misplaced_packages, {"orders.py": "import redis.client"}, "orders:1 imports redis"),
        (misplaced_packages, {"orders.py": "def f():\n  import numpy"}, "orders:2 imports numpy"),
        (misplaced_packages, {"orders.py": "from tests import kit"}, "orders:1 imports tests"),
        (
            misplaced_packages,
            {"lab/chaos/run.py": "import redis\nimport drawing"},
            "lab.chaos.run:2 imports drawing, which may be missing",
        ),
        (
            misplaced_packages,
            {"lab/chaos/run.py": "def run():\n  import drawing"},
            "lab.chaos may import redis and does not",
        ),
        # private rooms
        (
            intrusions,
            {"orders.py": "def f():\n  from mm.lab.chaos import run"},
            "orders:2 imports mm.lab.chaos",
        ),
        # forms that hide
        (unclear_imports, {"store/a.py": "from . import keys"}, "store.a:1 imports by dots"),
        (unclear_imports, {"orders.py": "from mm.store import *"}, "orders:1 imports by *"),
        (unclear_imports, {"orders.py": "import mm.store"}, "orders:1 says import mm.store"),
        (
            unclear_imports,
            {"orders.py": "def f(name):\n  importlib.import_module(name)"},
            "orders:2 computes an import",
        ),
        (unclear_imports, {"low.py": "import_module(f'mm.{name}')"}, "low:1 computes an import"),
    ],
)
def test_a_violation_is_seen(
    build: Build,
    check: Callable[[House], list[str]],
    files: dict[str, str],
    violation: str,
) -> None:
    """One bad file in a good house is reported by its check, with its module and line."""
    found = check(build(files))
    assert any(violation in line for line in found), found


def test_a_room_of_the_plan_that_is_gone_is_seen(tmp_path: Path) -> None:
    """A room that the plan lists and no module makes up is reported."""
    (tmp_path / "mm").mkdir()
    house = House(tmp_path / "mm", Plan(bands=[{"gone"}]))
    assert unplaced_rooms(house) == ["gone is in the plan and does not exist"]


def test_a_room_in_two_bands_is_seen(tmp_path: Path) -> None:
    """A room that two bands list is reported."""
    (tmp_path / "mm").mkdir()
    (tmp_path / "mm" / "low.py").touch()
    house = House(tmp_path / "mm", Plan(bands=[{"low"}, {"low"}]))
    assert unplaced_rooms(house) == ["low stands in 2 bands"]


def test_what_a_module_starts(build: Build) -> None:
    """Imports of imports count; an import inside a function does not."""
    house = build({"cli.py": "from mm.orders import send\ndef f():\n  import mm.lab.bench"})
    assert house.started("mm.cli") == {"mm", "mm.cli", "mm.orders", "mm.store", "mm.store.keys"}
    assert "mm.lab" in build({}).started("mm.lab.chaos.run")
    house = build({"low.py": "if TYPE_CHECKING: import mm.lab.bench\nelse: import mm.cli"})
    assert "mm.cli" in house.started("mm.low")
    assert "mm.lab.bench" not in house.started("mm.low")
