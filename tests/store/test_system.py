"""Creating a system's keys, and checking them without a write, on real servers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mm.errors import ConfigDiffers, DurabilityRefused, Unavailable
from mm.store import Keys, Scripts, check_system, create_system, execute, read_config
from tests.kit import Real, small_config

pytestmark = pytest.mark.server


def scripts_of(valkey: Real) -> Scripts:
    """The scripts on an empty server."""
    return Scripts(valkey.client(), Keys())


def writes(scripts: Scripts) -> int:
    """Changes of the data since the server started."""
    changes: int = scripts.client.info("persistence")["rdb_changes_since_last_save"]
    return changes


def test_create_then_check(valkey: Real) -> None:
    """Only ``create_system`` makes keys; ``check_system`` then accepts them and writes nothing."""
    scripts, config = scripts_of(valkey), small_config()
    with pytest.raises(Unavailable, match=r"no system under \{mm\} yet"):
        check_system(scripts, config)
    assert execute(scripts.client, "DBSIZE") == 0
    assert create_system(scripts, config).name == "valkey"
    assert read_config(scripts) == config
    before = writes(scripts)
    for given in (None, config):
        assert check_system(scripts, given).name == "valkey"
    assert writes(scripts) == before


def test_both_name_the_same_difference(valkey: Real) -> None:
    """Another configuration is refused in the same words, whether or not keys may be created."""
    scripts, config = scripts_of(valkey), small_config()
    create_system(scripts, config)
    first, second, *rest = config.symbols
    larger = replace(second, size_lots=second.size_lots + 1)
    others = {
        "limit_units stored": replace(config, limit_units=config.limit_units + 1),
        "symbols stored": replace(config, symbols=config.symbols[:1]),
        "symbol BBB size_lots stored": replace(config, symbols=(first, larger, *rest)),
    }
    for named, other in others.items():
        said = []
        for join in (create_system, check_system):
            with pytest.raises(ConfigDiffers, match=named) as caught:
                join(scripts, other)
            said.append(str(caught.value))
        assert said[0] == said[1]


def test_both_refuse_a_weak_server(valkey: Real) -> None:
    """A weak server is refused unless the durability asked for is relaxed."""
    scripts, config = scripts_of(valkey), small_config()
    create_system(scripts, config)
    execute(scripts.client, "CONFIG", "SET", "appendfsync", "everysec")
    try:
        for join in (create_system, check_system):
            with pytest.raises(DurabilityRefused, match="everysec"):
                join(scripts)
            assert join(scripts, durability="relaxed").weak
    finally:
        execute(scripts.client, "CONFIG", "SET", "appendfsync", "always")
