"""All mutants, numbered, and those known to change nothing that anyone could see."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.hunts.mutation import lua, python
from tests.hunts.mutation.edit import Mutant, numbered

#: The step code: what decides, retries and proposes, beside the scripts.
MODULES = [
    *["exchange", "state", "maker", "process"],
    *["market/strategy", "store/scripts", "store/calls"],
]
SURVIVORS = Path(__file__).with_name("survivors.toml")


def mutants(root: Path) -> list[Mutant]:
    """The mutants of all scripts, in alphabetical order, and of the step code, numbered from 1."""
    files = sorted(path.relative_to(root).as_posix() for path in root.glob("mm/lua/**/*.lua"))
    files += [f"mm/{name}.py" for name in MODULES]
    found: list[Mutant] = []
    for file in files:
        text = (root / file).read_text(encoding="utf-8")
        edits = lua.edits(text) if file.endswith(".lua") else python.edits(text)
        for edit in edits:
            found.append(numbered(len(found) + 1, file, text, edit))
    return found


def select(found: Sequence[Mutant], where: str) -> list[Mutant]:
    """Those of ``FILE``, ``FILE:LINE`` or ``#NUMBER``; a file may be named without its folder."""
    if where.startswith("#"):
        return [one for one in found if str(one.number) == where[1:]]
    name, _, line = where.partition(":")
    return [
        one
        for one in found
        if name in (one.file, Path(one.file).name) and line in ("", str(one.line))
    ]


@dataclass(frozen=True)
class Survivor:
    """A mutant that no test can or need kill, and why."""

    file: str
    was: str
    becomes: str
    reason: str

    def matches(self, mutant: Mutant) -> bool:
        """Whether it is this mutant, wherever its line stands now."""
        return (self.file, self.was, self.becomes) == (mutant.file, mutant.was, mutant.becomes)


def survivors() -> list[Survivor]:
    """The known survivors: a reason each, with the mutants that it holds for."""
    if not SURVIVORS.exists():
        return []
    stored = tomllib.loads(SURVIVORS.read_text(encoding="utf-8"))
    return [
        Survivor(one["file"], one["was"], one["becomes"], group["reason"])
        for group in stored["survivors"]
        for one in group["mutants"]
    ]


def known(mutant: Mutant, found: Sequence[Survivor]) -> Survivor | None:
    """The survivor that the mutant is, or None."""
    return next((one for one in found if one.matches(mutant)), None)
