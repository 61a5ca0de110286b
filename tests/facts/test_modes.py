"""What a change of modes has done, in sentences: the change, the quotes, the partitions."""

from __future__ import annotations

import pytest

from mm.errors import Unavailable
from mm.facts import control_lines
from mm.store import Controlled, Operator, Scripts, set_modes
from tests.kit import Fake, World, small_config
from tests.kit.partitioned import Partitioned
from tests.kit.world import SYSTEM_ID


def halt(scripts: Scripts, *symbols: str) -> Controlled:
    """Halt symbols, or all of them."""
    return set_modes(scripts, SYSTEM_ID, "halted", Operator("ann"), "news", symbols)


def test_a_system_without_partitions(fake_world: World) -> None:
    """The change and the quotes that it has ended; no word on partitions."""
    fake_world.propose("AAA")
    assert control_lines(halt(fake_world.scripts, "AAA")) == [
        "AAA: active -> halted, neither quoted nor traded",
        "1 quote withdrawn, exposure released",
    ]
    assert control_lines(halt(fake_world.scripts, "AAA")) == [
        "AAA: halted already, neither quoted nor traded"
    ]


def test_the_partitions_that_were_reached(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those where it is done are named, and those where it is not."""
    made = Partitioned(fake, small_config(6, limit=600, partitions=3))
    made.round()
    for world in made.worlds:
        for name in world.names:
            world.propose(name)
    first, second, third = (world.keys.prefix for world in made.worlds)
    name = made.worlds[1].names[0]
    assert control_lines(halt(made.root.scripts, name))[1:] == [
        "1 quote withdrawn, exposure released",
        f"done in {second}",
    ]
    control = Scripts.control

    def broken(one: Scripts, *given: object) -> Controlled:
        if one.keys.prefix == second:
            raise Unavailable("no server answers")
        return control(one, *given)  # type: ignore[arg-type]  # as they were given

    monkeypatch.setattr(Scripts, "control", broken)
    done = halt(made.root.scripts)
    assert done.reached == (first, third)
    assert control_lines(done) == [
        "all symbols: active -> halted, neither quoted nor traded",
        "4 quotes withdrawn, exposure released",
        f"done in {first} {third}",
        f"not everywhere: {second} was not reached: no server answers. Do it again",
    ]
