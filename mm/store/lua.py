"""The text of the Lua scripts: each file of ``mm/lua`` with its includes in place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib import resources
from typing import NamedTuple

_INCLUDE = re.compile(r"-- INCLUDE (\w+)")
_KEYS = re.compile(r"^-- KEYS +(.*)$", re.MULTILINE)
_READS = re.compile(r"^-- READS +(.*)$", re.MULTILINE)


class Line(NamedTuple):
    """One line of an assembled script: the name of its file, its number there, and its text."""

    file: str
    number: int
    text: str


def script_names() -> list[str]:
    """Names of all scripts in alphabetical order."""
    files = resources.files("mm").joinpath("lua").iterdir()
    return sorted(file.name.removesuffix(".lua") for file in files if file.name.endswith(".lua"))


def include_names() -> list[str]:
    """Names of all includes in alphabetical order."""
    files = resources.files("mm").joinpath("lua", "include").iterdir()
    return sorted(file.name.removesuffix(".lua") for file in files if file.name.endswith(".lua"))


def script_text(name: str) -> str:
    """The text of ``mm/lua/<name>.lua`` as it is in the file."""
    return resources.files("mm").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")


def include_text(name: str) -> str:
    """The text of ``mm/lua/include/<name>.lua`` as it is in the file."""
    return script_text(f"include/{name}")


def included(text: str) -> list[str]:
    """The includes that a script or an include names in its ``-- INCLUDE`` lines, in order."""
    found = map(_INCLUDE.fullmatch, text.splitlines())
    return [line[1] for line in found if line]


def expand(name: str, text: str, include: Callable[[str], str]) -> Iterator[Line]:
    """The lines of a script with its includes, and theirs, each put in once, where first needed.

    ``include`` gives the text of an include by its name. Raises ValueError for an unknown include,
    for one that a file names twice, and for a circle, with the includes that form it.
    """
    return _expand([name], text, include, set())


def _expand(
    path: list[str], text: str, include: Callable[[str], str], done: set[str]
) -> Iterator[Line]:
    """The lines of the last file of ``path``; each file of it includes the next."""
    names = included(text)
    for number, line in enumerate(text.rstrip().splitlines(), 1):
        found = _INCLUDE.fullmatch(line)
        if not found:
            yield Line(path[-1], number, line)
            continue
        name = found[1]
        if name in path:
            circle = [*path[path.index(name) :], name]
            raise ValueError(f"includes in a circle: {' -> '.join(circle)}")
        if names.count(name) > 1:
            raise ValueError(f"{path[-1]}.lua includes {name} twice")
        if name not in done:
            done.add(name)
            try:
                needed = include(name)
            except FileNotFoundError:
                raise ValueError(f"{path[-1]}.lua includes {name}, which does not exist") from None
            yield from _expand([*path, name], needed, include, done)


def assembled_lines(name: str) -> tuple[Line, ...]:
    """The lines of the script as it is sent to the server: its file with the includes in place."""
    return tuple(expand(name, script_text(name), include_text))


@cache
def assembled(name: str) -> str:
    """The script as it is sent to the server."""
    return "".join(f"{line.text}\n" for line in assembled_lines(name))


@cache
def key_names(name: str) -> tuple[str, ...]:
    """The catalogue names on the script's ``-- KEYS`` line, in order."""
    found = _KEYS.search(script_text(name))
    if not found:
        raise ValueError(f"{name}.lua has no KEYS header line")
    return tuple(found[1].split())


@cache
def read_names(name: str) -> tuple[str, ...]:
    """The catalogue names on the script's ``-- READS`` line, if it has one, in order.

    The script only reads these keys, and gets their names in front of its arguments.
    """
    found = _READS.search(script_text(name))
    return tuple(found[1].split()) if found else ()


@cache
def only_reads(name: str) -> bool:
    """Whether the script declares that it writes nothing."""
    return "no-writes" in script_text(name).partition("\n")[0]


def runner(name: str) -> str:
    """The command that runs the script by its digest.

    A script that writes nothing is run by one that asks for no right to write.
    """
    return "EVALSHA_RO" if only_reads(name) else "EVALSHA"
