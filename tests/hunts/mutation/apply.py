"""Puts a mutated file in force in a process that has already imported everything."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FunctionType
from typing import Any

from mm.store.lua import assembled, key_names, read_names


def apply_to_modules(root: Path, file: str) -> None:
    """Forget the scripts' texts, or give the module's functions the code of the changed file."""
    if file.endswith(".lua"):
        assembled.cache_clear()
        key_names.cache_clear()
        read_names.cache_clear()
        return
    module = sys.modules[file.removesuffix(".py").replace("/", ".")]
    path = root / file
    fresh: dict[str, Any] = {"__name__": module.__name__}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), fresh)
    for name, new in fresh.items():
        old = vars(module).get(name)
        if isinstance(new, type) and new.__module__ == module.__name__:
            assert isinstance(old, type)
            _class(old, new)
        elif getattr(new, "__module__", "") == module.__name__:
            _function(old, new)


def _function(old: Any, new: Any) -> None:
    """Other modules hold the function itself, so it is changed in place."""
    old, new = getattr(old, "__wrapped__", old), getattr(new, "__wrapped__", new)
    if isinstance(new, FunctionType):
        old.__code__ = new.__code__


def _class(old: type, new: type) -> None:
    for name, stated in vars(new).items():
        value, stored = stated, vars(old).get(name)
        if isinstance(stated, property) and isinstance(stored, property):
            value, stored = stated.fget, stored.fget
        if isinstance(value, FunctionType) and isinstance(stored, FunctionType):
            if value.__code__.co_freevars == stored.__code__.co_freevars:
                stored.__code__ = value.__code__
            else:  # the only such change drops a super(), and with it the closure
                plain = FunctionType(value.__code__, stored.__globals__, name, stored.__defaults__)
                setattr(old, name, plain)
