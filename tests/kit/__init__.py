"""What the tests share: backends, factories, a small world, and judgements of it.

``crash``, ``market``, ``oracle`` and ``breaks`` are for the tests that need them.
"""

from tests.kit.backends import (
    SERVERS,
    Backend,
    Fake,
    Real,
    Server,
    binary_or_skip,
    fake_backend,
    free_port,
    server_binary,
    server_ms,
    short_directory,
    stop_all_when_interrupted,
    wait_for,
)
from tests.kit.checks import (
    Dump,
    assert_only_for_its_system,
    assert_sound,
    dump,
    effects,
    execute_flat,
    market_keys,
    outcome,
    read_stream,
)
from tests.kit.units import lot_units, notional_config
from tests.kit.world import (
    SEEDS,
    SYSTEM_ID,
    MakeWorld,
    World,
    make_symbol,
    small_config,
    symbol_names,
)

__all__ = [
    "SEEDS",
    "SERVERS",
    "SYSTEM_ID",
    "Backend",
    "Dump",
    "Fake",
    "MakeWorld",
    "Real",
    "Server",
    "World",
    "assert_only_for_its_system",
    "assert_sound",
    "binary_or_skip",
    "dump",
    "effects",
    "execute_flat",
    "fake_backend",
    "free_port",
    "lot_units",
    "make_symbol",
    "market_keys",
    "notional_config",
    "outcome",
    "read_stream",
    "server_binary",
    "server_ms",
    "short_directory",
    "small_config",
    "stop_all_when_interrupted",
    "symbol_names",
    "wait_for",
]
