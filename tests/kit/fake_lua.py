"""Makes the fake server's Lua cheap: the unit tests spend a third less time.

The fake server compiles a script at each call, collects all of Lua's garbage after it, and walks
all globals before each command. Here a server compiles each script once, Lua collects its garbage
by itself, and the globals are walked only when there are more or fewer of them than at first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fakeredis.commands_mixins import scripting_mixin

#: What the fake server runs after each script.
_COLLECT = "collectgarbage()"
_COUNT = """
function()
  local count = 0
  for _ in next, _G do
    count = count + 1
  end
  return count
end
"""


class _Runtime:
    """A Lua runtime that keeps what it has compiled, each script under its text as its name.

    All else is that of the plain one.
    """

    def __init__(self, plain: Any) -> None:
        self._plain = plain
        self._compiled: dict[bytes | str, Callable[[], Any]] = {}
        self.count_globals: Callable[[], int] = plain.eval(_COUNT)
        self.expected = self.count_globals()
        # Looked up for each command of a script.
        self.table_from = plain.table_from
        self.globals = plain.globals

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)

    def execute(self, script: bytes | str) -> Any:
        """What the script returns."""
        if script == _COLLECT:
            return None
        found = self._compiled.get(script)
        if found is None:
            found = self._plain.compile(script, name=script)
            self._compiled[script] = found
        return found()


def quicken() -> None:
    """Do so for every fake server of this process that is made from now on."""
    mixin: Any = scripting_mixin.ScriptingCommandsMixin
    make, call = mixin._get_server_runtime, mixin._lua_redis_call
    module: Any = scripting_mixin
    check = module._check_for_lua_globals

    def runtime_of(socket: Any, server: Any) -> Any:
        if not hasattr(server, "_lua_runtime"):
            server._lua_runtime = _Runtime(make(socket, server))
        return server._lua_runtime

    def called(socket: Any, plain: Any, expected: set[Any], *words: Any) -> Any:
        return call(socket, socket._server._lua_runtime, expected, *words)

    def checked(runtime: Any, expected: set[Any]) -> None:
        if not isinstance(runtime, _Runtime) or runtime.count_globals() != runtime.expected:
            check(runtime, expected)

    mixin._get_server_runtime = runtime_of
    mixin._lua_redis_call = called
    module._check_for_lua_globals = checked


def forget(server: Any) -> None:
    """Let go of a server's Lua, which holds on to the server: nothing else would ever free both."""
    for name in [name for name in vars(server) if name.startswith("_lua")]:
        delattr(server, name)
