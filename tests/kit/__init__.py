"""What the tests share: backends, factories, a small world, and judgements of it.

``crash``, ``market``, ``oracle`` and ``breaks`` are for the tests that need them.
"""

from tests.kit.backends import (
    Backend,
    Fake,
    Real,
    Server,
    fake_backend,
    server_binary,
    server_ms,
    stop_all_when_interrupted,
    wait_for,
)
from tests.kit.checks import (
    Dump,
    assert_sound,
    dump,
    execute_flat,
    read_stream,
)
from tests.kit.world import (
    SEEDS,
    World,
    make_symbol,
    small_config,
    symbol_names,
)

__all__ = [
    "SEEDS",
    "Backend",
    "Dump",
    "Fake",
    "Real",
    "Server",
    "World",
    "assert_sound",
    "dump",
    "execute_flat",
    "fake_backend",
    "make_symbol",
    "read_stream",
    "server_binary",
    "server_ms",
    "small_config",
    "stop_all_when_interrupted",
    "symbol_names",
    "wait_for",
]
