"""The audit of what stands still: entries that wait, and reservations that nobody releases."""

from __future__ import annotations

import pytest

from mm.audit import audit
from tests.kit import Fake, MakeWorld, World, small_config
from tests.kit.breaks import order_waits
from tests.kit.verdicts import failed, violations


def test_waiting_entries_are_a_note_unless_quiescent(busy: World) -> None:
    """Entries that wait are a note while the market runs, a violation only at rest."""
    order_waits(busy)
    result = audit(busy.scripts)
    assert result.ok
    assert "wait" in " ".join(result.checks[-1].notes)


def test_quote_just_expired_may_still_be_reserved(busy: World) -> None:
    """For one second after its expiry a reservation is allowed, and counted."""
    busy.advance(busy.config.quote_ttl_ms)
    result = audit(busy.scripts)
    assert result.ok, violations(result)
    exact = next(check for check in result.checks if check.name == "exposure-exact")
    assert exact.checked["reservations of quotes just expired"] > 0
    busy.scripts.expire()
    assert failed(busy) == set()


def killed_system(make_world: MakeWorld) -> World:
    """A quote stands, and its exchange was heard for the last time; quotes live for 1 s."""
    world = make_world(1, quote_ttl_ms=1_000, refresh_ms=500)
    world.beat("exchange-1")
    world.propose("AAA")
    return world


def test_system_at_rest_is_a_note(make_world: MakeWorld) -> None:
    """Reservations that expire while no process lives are a note; the next start releases them."""
    world = killed_system(make_world)
    world.advance(2_500)
    result = audit(world.scripts)
    assert result.ok, violations(result)
    exact = next(check for check in result.checks if check.name == "exposure-exact")
    assert exact.notes == (
        "system at rest: reservations have expired since the last process was heard; the next"
        " start releases them",
    )
    assert exact.checked["reservations expired at rest"] == 1
    world.scripts.expire()
    assert failed(world) == set()


def test_lost_deadline_is_no_rest(fake: Fake) -> None:
    """At rest too a reservation that no deadline ends is a violation: no start would release it."""
    world = World(fake, small_config(1, quote_ttl_ms=1_000, refresh_ms=500))
    world.propose("AAA")
    world.client.zrem(world.keys.named("expiry"), "AAA")
    world.advance(2_500)
    assert failed(world) == {"exposure-exact"}


def test_publisher_alone_is_a_system_at_rest(make_world: MakeWorld) -> None:
    """A publisher releases nothing: that it lives makes no violation of an expired reservation."""
    world = killed_system(make_world)
    world.advance(2_500)
    world.beat("publisher-1")
    assert failed(world) == set()


@pytest.mark.parametrize("pause_ms", [0, 2_500])
def test_process_heard_after_the_deadline_should_have_released(fake: Fake, pause_ms: int) -> None:
    """A process that was heard more than 1 s after the expiry is accused, dead or not."""
    world = World(fake, small_config(1, quote_ttl_ms=1_000, refresh_ms=500))
    world.propose("AAA")
    world.advance(2_100)
    world.beat("state-1")
    world.advance(pause_ms)
    assert failed(world) == {"exposure-exact"}


def test_process_that_lives_makes_no_rest(fake: Fake) -> None:
    """While a process counts as alive a reservation past the grace is a violation."""
    world = World(fake, small_config(1, quote_ttl_ms=1_000, refresh_ms=500))
    world.propose("AAA")
    world.advance(900)
    world.beat("maker-1")
    world.advance(1_200)
    assert failed(world) == {"exposure-exact"}
