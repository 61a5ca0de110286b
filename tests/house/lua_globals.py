"""Lua 5.1 bytecode says exactly which globals a script reads and sets."""

from __future__ import annotations

import struct
from collections.abc import Callable
from importlib import import_module
from typing import Any

#: The globals that every server gives.
LUA_GLOBALS = {"KEYS", "ARGV", "redis", "math", "string", "table"} | {
    "tonumber",
    "ipairs",
    "pairs",
    "unpack",
}


class Bytecode:
    """Reads a Lua 5.1 ``string.dump`` of the usual 64-bit form."""

    SIZE_HEADER = 12
    GETGLOBAL, SETGLOBAL = 5, 7

    def __init__(self, data: bytes) -> None:
        assert data[: self.SIZE_HEADER] == b"\x1bLuaQ\x00\x01\x04\x08\x04\x08\x00", data[:12]
        self._data, self._at = data, self.SIZE_HEADER
        self.read: set[str] = set()
        self.set: set[str] = set()
        self._function()

    def _take(self, form: str) -> Any:
        (value,) = struct.unpack_from("<" + form, self._data, self._at)
        self._at += struct.calcsize("<" + form)
        return value

    def _text(self) -> str:
        size = self._take("Q")
        return bytes(self._take(f"{size}s")).rstrip(b"\x00").decode("latin-1") if size else ""

    def _function(self) -> None:
        self._text()
        self._take("12s")
        code = [self._take("I") for _ in range(self._take("i"))]
        readers: dict[int, Callable[[], Any]] = {
            0: lambda: None,
            1: lambda: self._take("B"),
            3: lambda: self._take("d"),
            4: self._text,
        }
        constants = [readers[self._take("B")]() for _ in range(self._take("i"))]
        for _ in range(self._take("i")):
            self._function()
        self._take(f"{4 * self._take('i')}s")
        for _ in range(self._take("i")):
            self._text()
            self._take("8s")
        for _ in range(self._take("i")):
            self._text()
        for instruction in code:
            if instruction & 0x3F == self.GETGLOBAL:
                self.read.add(constants[instruction >> 14])
            elif instruction & 0x3F == self.SETGLOBAL:
                self.set.add(constants[instruction >> 14])


def lua_globals(text: str) -> Bytecode:
    """The globals of Lua text."""
    runtime = import_module("lupa.lua51").LuaRuntime(encoding=None)
    dump = runtime.eval("function(text) return string.dump(assert(loadstring(text))) end")
    return Bytecode(dump(text.encode()))
