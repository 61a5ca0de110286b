"""What the modules of a package import, read from their text; no module is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass(frozen=True)
class Plan:
    """What a house must look like.

    A room is a module or a package right below the house. The parts of a ``parted`` package are
    rooms of their own, written ``package.part``; the package itself is no room.
    """

    #: The rooms by band, lowest first. A room imports only rooms of lower bands.
    bands: Sequence[set[str]]
    #: A package from outside the standard library -> the rooms that import it.
    outside: Mapping[str, set[str]] = field(default_factory=dict)
    #: Packages from outside that may be missing: imported in functions only.
    optional: frozenset[str] = frozenset()
    parted: frozenset[str] = frozenset()
    #: A room -> the only rooms that import it.
    private: Mapping[str, set[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Import:
    """One thing that a module imports.

    ``how`` is ``from`` or ``import`` for a statement, ``relative`` for one with dots, and ``text``
    for a string that spells a module of the house, as for ``import_module`` or ``python -m``.
    ``late`` means that it is not imported when the module itself is.
    """

    module: str
    names: tuple[str, ...]
    how: Literal["from", "import", "relative", "text"]
    line: int
    late: bool


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _walk(node: ast.AST, late: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """Every node below this one, docstrings aside, and whether it runs after the import only."""
    bodies = getattr(node, "body", None)
    typing = ("TYPE_CHECKING", "typing.TYPE_CHECKING")
    if_typing = isinstance(node, ast.If) and ast.unparse(node.test) in typing
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue
        typing_only = if_typing and isinstance(bodies, list) and child in bodies
        child_late = late or typing_only or isinstance(node, FUNCTIONS)
        yield child, child_late
        yield from _walk(child, child_late)


class House:
    """The modules of a package: the folder that is called like it, with all below."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder, self.plan, self.name = folder, plan, folder.name
        self.paths = {self.module_name(path): path for path in sorted(folder.rglob("*.py"))}
        self.packages = {self.module_name(path.parent) for path in folder.rglob("__init__.py")}

    def module_name(self, path: Path) -> str:
        """The dotted name of a module; a package's is that of its ``__init__``."""
        parts = path.relative_to(self.folder.parent).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def room(self, module: str) -> str:
        """The room of a module: ``mm.store.keys`` -> ``store``, ``mm.lab.a.b`` -> ``lab.a``."""
        parts = module.split(".")[1:]
        return ".".join(parts[: 2 if parts[:1] and parts[0] in self.plan.parted else 1])

    @cached_property
    def rooms(self) -> set[str]:
        """The rooms of all modules."""
        return {self.room(module) for module in self.paths} - {"", *self.plan.parted}

    def band(self, module: str) -> int:
        """The number of the band that lists a module's room, -1 when none does."""
        room = self.room(module)
        return next((n for n, rooms in enumerate(self.plan.bands) if room in rooms), -1)

    def face(self, module: str) -> str:
        """The module through which others use a module: its room's package, or itself."""
        return ".".join([self.name, self.room(module)]) if self.room(module) else self.name

    @cached_property
    def imports(self) -> dict[str, list[Import]]:
        """What each module imports."""
        return {module: list(self._imports_of(path)) for module, path in self.paths.items()}

    def inner_imports(self) -> Iterator[tuple[str, Import]]:
        """Each module with each thing of this house that it imports."""
        for module, imports in self.imports.items():
            yield from ((module, one) for one in imports if self._is_inner(one.module))

    def _is_inner(self, module: str) -> bool:
        return module.partition(".")[0] == self.name

    def _imports_of(self, path: Path) -> Iterator[Import]:
        for node, late in _walk(tree(path)):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(alias.name, (), "import", node.lineno, late)
            elif isinstance(node, ast.ImportFrom):
                module = "." * node.level + (node.module or "")
                how: Literal["from", "relative"] = "relative" if node.level else "from"
                for alias in node.names:
                    inner = f"{module}.{alias.name}"
                    # A face may offer a function that is called like the module that holds it.
                    if inner in self.paths and alias.name not in self.offered(module):
                        yield Import(inner, (), how, node.lineno, late)
                    else:
                        yield Import(module, (alias.name,), how, node.lineno, late)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                # "mm.cli." is the beginning of f"mm.cli.{name}".
                spelled = node.value.removesuffix(".")
                if spelled in self.paths and spelled != self.name:
                    yield Import(spelled, (), "text", node.lineno, True)

    def offered(self, module: str) -> list[str]:
        """The names in the ``__all__`` of a module; empty when it has none."""
        body = tree(self.paths[module]).body if module in self.paths else []
        for node in body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                names: list[str] = ast.literal_eval(node.value)
                return names
        return []

    def started(self, module: str) -> set[str]:
        """All modules that importing one imports, those from outside included."""
        found: set[str] = set()
        waiting = [module]
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            found.add(name)
            # Importing a module runs the packages that hold it.
            waiting += [package for package in self.packages if name.startswith(package + ".")]
            waiting += [one.module for one in self.imports.get(name, []) if not one.late]
        return found
