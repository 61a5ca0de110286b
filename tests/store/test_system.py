"""Creating a system's keys, and joining a system without a write, on real servers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mm.errors import ConfigDiffers, DurabilityRefused, ForeignSystem, Unavailable
from mm.market import default_config
from mm.store import Keys, Scripts, create_system, execute, join_system, read_config
from tests.kit import Real, small_config
from tests.kit.old import make_old

pytestmark = pytest.mark.server


def scripts_of(valkey: Real) -> Scripts:
    """The scripts on an empty server."""
    return Scripts(valkey.client(), Keys())


def writes(scripts: Scripts) -> int:
    """Changes of the data since the server started."""
    changes: int = scripts.client.info("persistence")["rdb_changes_since_last_save"]
    return changes


def test_create_then_join(valkey: Real) -> None:
    """Only ``create_system`` makes keys; both then join them, with one id, and write nothing."""
    scripts, config = scripts_of(valkey), small_config()
    with pytest.raises(Unavailable, match=r"no system under \{mm\} yet: `mm up` creates one"):
        join_system(scripts, config)
    assert execute(scripts.client, "DBSIZE") == 0
    made = create_system(scripts, config)
    assert (made.server.name, made.how) == ("valkey", "created")
    assert made.server.run_id == scripts.client.info("server")["run_id"]
    assert read_config(scripts) == config
    before = writes(scripts)
    for given in (None, config):
        for join in (create_system, join_system):
            joined = join(scripts, given)
            assert (joined.how, joined.identity) == ("joined", made.identity)
    assert writes(scripts) == before


def test_a_system_has_an_id_of_its_own(valkey: Real) -> None:
    """Each creation makes another id; without a configuration it uses the default one."""
    scripts = scripts_of(valkey)
    first = create_system(scripts).identity
    assert read_config(scripts) == default_config()
    scripts.client.flushall()
    assert create_system(scripts).identity.system_id != first.system_id


def test_the_expected_system(valkey: Real) -> None:
    """Who expects a system refuses an empty server and another system, and writes nothing."""
    scripts = scripts_of(valkey)
    for found in ("holds no system", "holds system"):
        with pytest.raises(ForeignSystem, match=rf"the caller belongs to system 0+aa, .* {found}"):
            join_system(scripts, system_id="00000000000000aa", whose="the caller")
        create_system(scripts)
    known = create_system(scripts).identity
    assert join_system(scripts, system_id=known.system_id).identity == known


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
        for join in (create_system, join_system):
            with pytest.raises(ConfigDiffers, match=named) as caught:
                join(scripts, other)
            said.append(str(caught.value))
        with pytest.raises(ConfigDiffers, match=named) as caught:
            scripts.setup(other, "00000000000000aa")
        assert {*said, str(caught.value)} == {said[0]}


def test_both_refuse_a_weak_server(valkey: Real) -> None:
    """A weak server is refused unless the durability asked for is relaxed."""
    scripts, config = scripts_of(valkey), small_config()
    create_system(scripts, config)
    execute(scripts.client, "CONFIG", "SET", "appendfsync", "everysec")
    try:
        for join in (create_system, join_system):
            with pytest.raises(DurabilityRefused, match="everysec"):
                join(scripts)
            assert join(scripts, durability="relaxed").server.weak
    finally:
        execute(scripts.client, "CONFIG", "SET", "appendfsync", "always")


def test_an_old_system_is_carried_over_by_its_maker_only(valkey: Real) -> None:
    """``join_system`` waits for it, ``create_system`` carries it over with what it holds."""
    scripts, config = scripts_of(valkey), small_config()
    create_system(scripts, config)
    make_old(scripts, "1")
    with pytest.raises(Unavailable, match="`mm up` of this version carries it over"):
        join_system(scripts)
    carried = create_system(scripts)
    assert carried.how == "upgraded"
    assert read_config(scripts) == config
    assert join_system(scripts).identity == carried.identity
