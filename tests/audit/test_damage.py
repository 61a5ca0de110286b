"""The audit of keys that hold what no script writes: each is named, and nothing breaks off."""

from __future__ import annotations

from pathlib import Path

import pytest

from mm.audit import audit
from mm.errors import SystemRefused
from mm.store import StreamReader, execute, text
from mm.store.keys import CATALOGUE
from tests.kit import Fake, World, small_config
from tests.kit.breaks import quoted
from tests.kit.verdicts import failed, violations


def test_rubbish_in_any_field_is_reported_by_key(fake: Fake, tmp_path: Path) -> None:
    """For each field that holds rubbish the audit names the key, and raises nothing."""
    world = World(fake, small_config(1, size=30, keep_fills=1))
    world.propose("AAA")
    world.trade(world.order(qty=3))
    world.trade(world.order(qty=3))
    world.drain()
    world.archive(tmp_path)
    world.propose("AAA", trigger="position")
    hashes = {key: content for key, (kind, content, _) in world.dump().items() if kind == "hash"}
    for key, content in hashes.items():
        for field, value in content.items():
            for rubbish in ("\x00\n", "12x"):
                execute(world.client, "HSET", key, text(field), rubbish)
                result = audit(world.scripts)
                assert not result.ok, f"{key} {field}"
                texts = violations(result)
                assert key in texts or field in (b"symbols", b"file"), f"{key} {field}: {texts}"
            execute(world.client, "HSET", key, text(field), text(value))
    assert failed(world) == set()


#: What a system without partitions does not have, and what no check is about.
NOT_THERE = ("treasury", "routes", "process:*")


@pytest.mark.parametrize("family", [name for name in CATALOGUE if name not in NOT_THERE])
def test_key_of_another_type_is_reported(busy: World, family: str) -> None:
    """Each key that a foreign program has overwritten is named."""
    member = {"reports:*": "c1", "inbox:*": "c1", "seen:*": "1"}.get(family, "AAA")
    key = busy.keys.member(family, member) if "*" in family else busy.keys.named(family)
    busy.client.set(key, "x")
    result = audit(busy.scripts)
    assert not result.ok
    assert key in violations(result)


@pytest.mark.parametrize(
    "name",
    [
        *("config", "exposure", "cursors", "expiry", "fills", "quotes", "orders"),
        *("symbol:*", "terms:*", "position:*", "quote:*", "reservation:*", "seen:*"),
    ],
)
def test_deleted_key_is_reported(busy: World, name: str) -> None:
    """A key that a foreign program has deleted is a violation, not a traceback."""
    members = [quoted(busy)] if name != "seen:*" else StreamReader(busy.scripts).members(name)
    for member in members:
        key = busy.keys.member(name, member) if "*" in name else busy.keys.named(name)
        busy.client.delete(key)
    result = audit(busy.scripts)
    assert not result.ok
    if name != "seen:*":
        assert key in violations(result)


def test_rubbish_in_streams_is_reported(busy: World) -> None:
    """Foreign entries on the quote and report streams are violations, not a traceback."""
    for key in (busy.keys.named("quotes"), busy.keys.member("reports:*", "c1")):
        for words in ([b"\xff", b"\xfe"], [b"event", b"active"], [b"a", b"1 2 3"], [b"", b""]):
            execute(busy.client, "XADD", key, "*", *words)  # type: ignore[arg-type]  # bytes are words too
    seen = busy.keys.member("seen:*", StreamReader(busy.scripts).members("seen:*")[0])
    execute(busy.client, "HSET", seen, "c1/zzz", "filled - 9" + "9" * 5_000 + " 1 AAA-1 AAA-1")
    assert failed(busy) == {"one-quote", "order-once"}


def test_no_system_is_an_error_of_its_own(fake: Fake) -> None:
    """Without any key of a system the audit refuses, and judges nothing."""
    world = World(fake, small_config(), setup=False)
    with pytest.raises(SystemRefused, match="no system runs"):
        audit(world.scripts)
