"""The Lua scripts as texts: each file of ``mm/lua`` with its includes put in place."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

_INCLUDE = re.compile(r"^-- INCLUDE (\w+)$", re.MULTILINE)
_KEYS = re.compile(r"^-- KEYS +(.*)$", re.MULTILINE)


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


@cache
def assembled(name: str) -> str:
    """The script as it is sent to the server: its file with the includes in place."""
    return _INCLUDE.sub(lambda found: include_text(found[1]).rstrip(), script_text(name))


@cache
def key_names(name: str) -> tuple[str, ...]:
    """The catalogue names on the script's ``-- KEYS`` line, in order."""
    found = _KEYS.search(script_text(name))
    if not found:
        raise ValueError(f"{name}.lua has no KEYS header line")
    return tuple(found[1].split())
