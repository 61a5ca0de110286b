"""How the keys of the live view change trading modes: as `mm halt` and `mm resume` do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mm.facts import control_lines
from mm.store import NO_REASON, Operator, Scripts, read_identity, set_modes
from mm.terminal.keys import ModeRequest


@dataclass(frozen=True)
class Controls:
    """How modes are changed from the view: as the operator ``who``.

    ``act`` does what was asked for, and returns what it has done, a sentence each. Its errors are
    those of :func:`mm.store.set_modes`.
    """

    who: str
    act: Callable[[ModeRequest], list[str]]


def controls_as(who: str, scripts: Scripts) -> Controls:
    """The controls of a system, over scripts of a user that may change modes."""

    def act(asked: ModeRequest) -> list[str]:
        identity, by = read_identity(scripts), Operator(who)
        system_id, why = identity.system_id if identity else "", asked.why or NO_REASON
        return control_lines(set_modes(scripts, system_id, asked.mode, by, why, asked.symbols))

    return Controls(who, act)
