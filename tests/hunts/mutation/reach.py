"""Which lines of which scripts a test runs on the fake server: only those tests can tell a mutant.

The fake server's Lua has a line hook; a real server has none, and there every test counts.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from fakeredis.commands_mixins.scripting_mixin import ScriptingCommandsMixin

from mm.store import script_names
from mm.store.lua import assembled, assembled_lines

#: Lines by file stem.
Lines = dict[str, list[int]]

_HOOK = """
function()
  local lines = {}
  debug.sethook(function(_, line)
    local source = debug.getinfo(2, 'S').source
    local own = lines[source]
    if not own then
      own = {}
      lines[source] = own
    end
    own[line] = true
  end, 'l')
  return lines
end
"""


@cache
def _places(name: str) -> list[tuple[str, int]]:
    """The file and line from which each line of an assembled script comes."""
    return [(line.file, line.number) for line in assembled_lines(name)]


@cache
def _names() -> dict[bytes, str]:
    """The script's name by the text that the fake server runs, which has no first line."""
    return {assembled(name).partition("\n")[2].encode(): name for name in script_names()}


class Reach:
    """Notes the lines that run from now on in this process."""

    def __init__(self) -> None:
        self._hooks: list[Any] = []
        plain = ScriptingCommandsMixin._get_server_runtime

        def hooked(mixin: Any, server: Any) -> Any:
            fresh = not hasattr(server, "_lua_runtime")
            runtime = plain(mixin, server)
            if fresh:
                self._hooks.append(runtime.eval(_HOOK)())
            return runtime

        pytest.MonkeyPatch().setattr(ScriptingCommandsMixin, "_get_server_runtime", hooked)

    def clear(self) -> None:
        """Forget what has run, with the servers that it ran on."""
        self._hooks.clear()

    def lines(self) -> Lines:
        """The lines that have run since the last ``clear``, on servers made since then."""
        found: dict[str, set[int]] = {}
        for hook in self._hooks:
            for source, own in hook.items():
                name = _names().get(bytes(source))
                for line in own if name else ():
                    stem, number = _places(name or "")[int(line)]  # the first line is gone
                    found.setdefault(stem, set()).add(number)
        return {stem: sorted(numbers) for stem, numbers in found.items()}
