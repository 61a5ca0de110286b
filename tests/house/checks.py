"""Judges what the modules of a house import: bands, faces, circles, packages from outside.

Each check takes a :class:`House` and returns its violations, each a line that names the module.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from tests.house.imports import House, tree

#: What a module may take from the face of the whole package, which stands above all rooms.
FROM_THE_TOP = {"__version__"}


def unplaced_rooms(house: House) -> list[str]:
    """Rooms that stand in no band or in several, and rooms of the plan that do not exist."""
    listed = [room for rooms in house.plan.bands for room in sorted(rooms)]
    bands = {room: listed.count(room) for room in sorted(house.rooms)}
    found = [f"{room} stands in {count} bands" for room, count in bands.items() if count != 1]
    gone = [room for room in listed if room not in house.rooms]
    return found + [f"{room} is in the plan and does not exist" for room in gone]


def upward_imports(house: House) -> list[str]:
    """Imports of a room that is not in a lower band."""
    found = []
    for module, one in house.inner_imports():
        rooms = house.room(module), house.room(one.module)
        if "" not in rooms and rooms[0] != rooms[1]:
            below, above = house.band(one.module), house.band(module)
            if below < 0 or below >= above:
                found.append(f"{module}:{one.line} imports {one.module}, which is not below it")
    return found


def imports_past_a_face(house: House) -> list[str]:
    """From another room: imports of inner modules, and of names that its face does not offer."""
    found = []
    for module, one in house.inner_imports():
        face = house.face(one.module)
        if face == house.face(module):
            continue
        if one.module != face:
            found.append(f"{module}:{one.line} imports {one.module}, past the face of {face}")
        elif face in house.packages:
            offered = FROM_THE_TOP if face == house.name else set(house.offered(face))
            for name in sorted(set(one.names) - offered):
                found.append(f"{module}:{one.line} imports {name}, which {face} does not offer")
    return found


def inexact_faces(house: House) -> list[str]:
    """Faces without ``__all__``, with a name twice, or with another list than what they import.

    And folders that are no package: those are not shipped.
    """
    folders = {path.parent for path in house.paths.values()}
    names = {house.module_name(folder) for folder in folders}
    found = [f"{name} has no __init__.py" for name in sorted(names - house.packages)]
    for face in sorted({house.face(module) for module in house.paths} & house.packages):
        offered = house.offered(face)
        if face == house.name or house.room(face) in house.plan.parted:
            continue
        bound = {name for one in house.imports[face] for name in one.names} - {"annotations"}
        if not offered:
            found.append(f"{face} has no __all__")
        if len(set(offered)) < len(offered):
            found.append(f"{face} lists a name twice")
        if set(offered) != bound:
            found.append(f"{face}: __all__ and imports differ by {sorted(set(offered) ^ bound)}")
    return found


def circles(house: House) -> list[str]:
    """Modules that import each other in a circle, and modules that import their own face."""
    found = []
    graph: dict[str, set[str]] = {module: set() for module in house.paths}
    for module, one in house.inner_imports():
        if one.how != "text":
            graph[module].add(one.module)
            if one.module == house.face(module) != module and one.module in house.packages:
                found.append(f"{module}:{one.line} imports its own face")
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found.append("a circle: " + " -> ".join(reversed(error.args[1])))
    return found


def misplaced_packages(house: House) -> list[str]:
    """Packages from outside in rooms that may not import them, too early, or not used at all."""
    found = []
    used: dict[str, set[str]] = {package: set() for package in house.plan.outside}
    for module, imports in house.imports.items():
        for one in imports:
            package = one.module.partition(".")[0]
            if package in {house.name, ""} or package in sys.stdlib_module_names:
                continue
            used.setdefault(package, set()).add(house.room(module))
            if house.room(module) not in house.plan.outside.get(package, set()):
                found.append(f"{module}:{one.line} imports {package}")
            if package in house.plan.optional and not one.late:
                found.append(f"{module}:{one.line} imports {package}, which may be missing")
    for package, rooms in house.plan.outside.items():
        for room in sorted(rooms - used[package]):
            found.append(f"{room} may import {package} and does not: take it off the plan")
    return found


def intrusions(house: House) -> list[str]:
    """Imports of a private room by a room that may not import it."""
    found = []
    for module, one in house.inner_imports():
        user, used = (house.room(name).partition(".")[0] for name in (module, one.module))
        if used in house.plan.private and user not in house.plan.private[used] | {used}:
            found.append(f"{module}:{one.line} imports {one.module}")
    return found


def unclear_imports(house: House) -> list[str]:
    """Imports whose text does not show what is used: relative, by ``import``, computed, or ``*``.

    The face of the house may compute: it imports each name at its first use, from a table.
    """
    found = []
    for module, imports in house.imports.items():
        for one in imports:
            if one.how == "relative":
                found.append(f"{module}:{one.line} imports by dots")
            if "*" in one.names:
                found.append(f"{module}:{one.line} imports by *")
            if one.how == "import" and one.module.partition(".")[0] == house.name:
                found.append(f"{module}:{one.line} says import {one.module}, not from")
        if module != house.name:
            found += [f"{module}:{line} computes an import" for line in _computed(house, module)]
    return found


def _computed(house: House, module: str) -> Iterator[int]:
    """The lines that import a module by a text that does not begin with its room."""
    for node in ast.walk(tree(house.paths[module])):
        if isinstance(node, ast.Call) and node.args:
            first = node.args[0]
            if isinstance(first, ast.JoinedStr) and first.values:
                first = first.values[0]
            begins = first.value if isinstance(first, ast.Constant) else ""
            function = ast.unparse(node.func).rpartition(".")[2]
            computes = function in ("import_module", "__import__", "run_module")
            if computes and begins in ("", f"{house.name}."):
                yield node.lineno
