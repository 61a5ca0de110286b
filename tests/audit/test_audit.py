"""The audit: clean after a busy run, and names each invariant that a test breaks on purpose."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

import pytest
from rich.console import Console

from mm.audit import audit
from mm.audit.fingerprints import Fingerprints
from mm.audit.invariants import INVARIANTS, Audit
from mm.errors import SystemRefused
from mm.market import Config, Side
from mm.store import Raw, StreamReader, execute, read_raw, text
from mm.store.keys import CATALOGUE
from mm.terminal import audit_table
from tests.kit import Fake, MakeWorld, World, fake_backend, small_config
from tests.kit.breaks import (
    BREAKS,
    Break,
    add,
    order_waits,
    quoted,
    rewrite,
    set_field,
    total_off,
)


def run_busy(world: World, rounds: int = 40, seed: int = 1, pauses: bool = True) -> None:
    """Trade on all symbols: fills, duplicates, rubbish, refreshes, expiries. Ends at rest."""
    rng = random.Random(seed)
    exchange, state, maker = world.exchange(), world.state(), world.maker()
    sent = []
    for _ in range(rounds):
        maker.step()
        for _ in range(rng.randrange(6)):
            limit = None if rng.random() < 0.8 else rng.choice([50, 150])
            symbol, client = rng.choice(world.names), rng.choice(["c1", "c2"])
            side: Side = "buy" if rng.random() < 0.5 else "sell"
            order = world.order(side, rng.randrange(1, 8), limit, symbol, client)
            sent.append(order)
            world.send(order)
            if rng.random() < 0.1:
                world.send(rng.choice(sent))
            if rng.random() < 0.05:
                taken = rng.choice(sent)
                world.send(world.order(side, 9, limit, symbol, taken.client_id, taken.order_id))
        if rng.random() < 0.1:
            world.send_raw(f"bad{rng.random()}", "c1 AAA buy x 3")
            world.send_raw("not an id", "c1 AAA buy 4 3")
        exchange.step()
        if rng.random() < 0.8:
            state.step()
        if pauses and rng.random() < 0.2:
            world.advance(rng.choice([10, 20_000, 40_000]))
    world.drain()
    maker.step()


def busy_config() -> Config:
    """Three symbols; both the exposure limit and the position limits are reached."""
    return small_config(3, limit=25, of_symbol={"skew_ticks": 3, "position_limit_lots": 20})


@dataclass(frozen=True)
class Recording:
    """The end of a busy run: the instant, and the commands that create its keys."""

    now_ms: int
    commands: list[list[str | int]]


def commands_of(world: World) -> list[list[str | int]]:
    """The commands that create the same keys elsewhere."""
    made: list[list[str | int]] = []
    for key, (kind, content, expires_ms) in world.dump().items():
        if kind == "hash":
            words = [text(word) for item in content.items() for word in item]
            made.append(["HSET", key, *words])
        elif kind == "zset":
            for member in execute(world.client, "ZRANGE", key, 0, -1):
                made.append(["ZADD", key, str(world.client.zscore(key, member)), text(member)])
        else:
            entries = StreamReader(world.scripts).entries(key, f"{2**62}-0")
            made += [["XADD", key, text(entry), *map(text, flat)] for entry, flat in entries]
        if expires_ms > 0:
            made.append(["PEXPIREAT", key, expires_ms])
    return made


@pytest.fixture(scope="module")
def recording() -> Recording:
    """One busy run, made once."""
    with fake_backend() as backend:
        world = World(backend, busy_config())
        world.admit("c1")
        run_busy(world)
        return Recording(world.now_ms(), commands_of(world))


@pytest.fixture
def busy(fake: Fake, recording: Recording) -> World:
    """Three symbols after a busy run, at rest, with quotes standing."""
    fake.set_ms(recording.now_ms)
    world = World(fake, busy_config(), setup=False)
    pipeline = world.client.pipeline(transaction=False)
    for words in recording.commands:
        execute(pipeline, *words)
    pipeline.execute()
    return world


def failed(world: World, quiescent: bool = True) -> set[str]:
    """The names of the invariants that the audit reports as violated."""
    result = audit(world.scripts, quiescent)
    for check in result.checks:
        assert check.ok == (check.total == 0)
    return {check.name for check in result.checks if not check.ok}


def violations(result: Audit) -> str:
    """All texts of all violations."""
    return "\n".join(line for check in result.checks for line in check.violations)


def test_clean_run_is_clean_with_something_checked(busy: World) -> None:
    """After a busy run no check fails, and each one counts what it looked at."""
    result = audit(busy.scripts, quiescent=True)
    assert result.ok, violations(result)
    assert [check.name for check in result.checks] == list(INVARIANTS)
    for check in result.checks:
        assert check.checked, check
        assert all(number > 0 for number in check.checked.values()), check
    fills = len(busy.fills())
    checked = {check.name: check.checked for check in result.checks}
    assert checked["ledger-dense"]["fills"] == checked["position-exact"]["fills"] == fills > 50
    assert checked["fills-within-quote"] == {"fills": fills}


def test_run_on_every_server_is_clean(make_world: MakeWorld) -> None:
    """The audit works on each server, and finds a break on each."""
    world = make_world(3, limit=25, of_symbol={"skew_ticks": 3, "position_limit_lots": 20})
    run_busy(world, rounds=15, pauses=False)
    assert failed(world) == set()
    add(world, "position:*", "AAA", "cash_ticks", 1)
    add(world, "terms:*", "BBB", "position_limit_lots", -20)
    assert failed(world) == {"position-exact", "position-limited"}
    world.client.delete(world.keys.named("exposure"))
    world.client.set(world.keys.named("exposure"), "x")
    assert world.keys.named("exposure") in violations(audit(world.scripts))


def test_notional_run_is_clean(fake: Fake) -> None:
    """Units of price times lots times multiplier are audited as exactly as lots."""
    changes = {"skew_ticks": 3, "multiplier": 5}
    config = small_config(3, limit=12_000, mode="notional", of_symbol=changes)
    world = World(fake, config)
    run_busy(world, seed=3)
    assert failed(world) == set()
    add(world, "reservation:*", quoted(world), "bid_units", 1)
    assert failed(world) == {"exposure-exact"}
    add(world, "reservation:*", quoted(world), "bid_units", -1)
    for name, member, field, value in (
        ("config", None, "notional_unit", "0.001"),
        ("config", None, "notional_unit", "0.1"),
        ("config", None, "currency", "-"),
        ("terms:*", "CCC", "notional_units", "1"),
        ("terms:*", "CCC", "multiplier", "50"),
    ):
        before = world.hash(name, member)[field]
        set_field(world, name, member, field, value)
        assert failed(world) == {"exposure-exact"}, field
        set_field(world, name, member, field, before)
    assert failed(world) == set()


@pytest.mark.parametrize(
    ("name", "spoil"), [pytest.param(*one, id=f"{one[0]}-{one[1].__name__}") for one in BREAKS]
)
def test_each_break_fails_exactly_its_check(busy: World, name: str, spoil: Break) -> None:
    """One invariant broken by editing keys: its check fails, and no other."""
    spoil(busy)
    assert failed(busy) == {name}


def test_every_invariant_is_broken_by_some_test() -> None:
    """For each check of the audit a test sees it fail."""
    assert {name for name, _ in BREAKS} == set(INVARIANTS)


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


def test_order_of_another_window_may_trade_again(fake: Fake) -> None:
    """An order sent again after two windows executes again, and that is no violation."""
    world = World(fake, small_config(1, dedup_window_ms=1_000))
    order = world.order(qty=2)
    world.propose("AAA")
    world.trade(order)
    world.advance(2_500)
    world.trade(order)
    world.drain()
    assert len(world.fills()) == 2
    assert failed(world) == set()


def test_trimmed_streams_are_counted_as_beyond_retention(busy: World) -> None:
    """What retention has taken away is no violation, but it is counted."""
    quotes = busy.keys.named("quotes")
    half = len(busy.events()) // 2
    execute(busy.client, "XTRIM", quotes, "MAXLEN", "=", half)
    execute(busy.client, "XTRIM", busy.keys.named("orders"), "MAXLEN", "=", 5)
    execute(busy.client, "XTRIM", busy.keys.member("reports:*", "c1"), "MAXLEN", "=", 5)
    result = audit(busy.scripts, quiescent=True)
    assert result.ok, violations(result)
    within = next(check for check in result.checks if check.name == "fills-within-quote")
    beyond = within.checked["fills of quotes beyond retention"]
    assert beyond > 0
    assert within.checked["fills"] + beyond == len(busy.fills())


def test_market_moves_on_during_the_audit(busy: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens after the instant, while the streams are read, is not judged."""

    def read_then_trade(*args: Any) -> Raw:
        raw = read_raw(*args)
        run_busy(busy, rounds=10, seed=7)
        return raw

    monkeypatch.setattr("mm.audit.invariants.read_raw", read_then_trade)
    assert failed(busy, quiescent=False) == set()


def test_later_order_of_the_same_id_is_not_a_violation(fake: Fake) -> None:
    """Another order under a used id is refused; the audit counts that and finds nothing wrong."""
    world = World(fake, small_config(1))
    world.propose("AAA")
    world.trade(world.order(qty=5, order_id="o1"))
    world.advance(10)
    world.trade(world.order("sell", qty=1, order_id="o1"))
    world.trade(world.order("sell", qty=1, order_id="o1"))
    world.drain()
    assert failed(world) == set()
    checks = {check.name: check.checked for check in audit(world.scripts).checks}
    assert checks["order-once"]["conflicts"] == 2
    execute(world.client, "XTRIM", world.keys.named("orders"), "MAXLEN", "=", 1)
    assert failed(world) == set()


def test_halted_symbol_is_noted(busy: World) -> None:
    """A ledger with a foreign record fails, and a note names the halt that followed."""
    execute(busy.client, "XADD", busy.keys.named("fills"), "*", "AAA-9999", "buy 1 1 c o AAA-1 1")
    busy.drain()
    result = audit(busy.scripts, quiescent=True)
    assert "AAA fill 9999 follows" in violations(result)
    notes = " ".join(note for check in result.checks for note in check.notes)
    assert "AAA is halted" in notes


def test_rubbish_in_any_field_is_reported_by_key(fake: Fake) -> None:
    """For each field that holds rubbish the audit names the key, and raises nothing."""
    world = World(fake, small_config(1, size=30))
    world.propose("AAA")
    world.trade(world.order(qty=3))
    world.drain()
    world.propose("AAA")
    hashes = {key: content for key, (kind, content, _) in world.dump().items() if kind == "hash"}
    for key, content in hashes.items():
        for field, value in content.items():
            for rubbish in ("\x00\n", "12x"):
                execute(world.client, "HSET", key, text(field), rubbish)
                result = audit(world.scripts)
                assert not result.ok, f"{key} {field}"
                texts = violations(result)
                assert key in texts or field == b"symbols", f"{key} {field}: {texts}"
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


@pytest.mark.parametrize(("side", "sound"), [("bid", False), ("ask", True)])
def test_a_reducing_symbol_has_one_side(fake: Fake, side: str, sound: bool) -> None:
    """With net +4 a quote of up to 4 lots to sell is what the mode allows, one to buy is not."""
    world = World(fake, small_config(1))
    world.propose("AAA")
    world.trade(world.order("sell", 4))
    world.drain()
    lots = {"bid_lots": 0, "ask_lots": 0} | {f"{side}_lots": 3}
    world.propose("AAA", trigger="position", **lots)
    world.client.hset(world.keys.member("terms:*", "AAA"), "mode", "reducing")
    assert ("mode-kept" in failed(world)) is not sound


def test_facts_and_table_say_the_same(busy: World) -> None:
    """The JSON facts survive a round trip. The table names every check and its violations."""
    total_off(busy)
    result = audit(busy.scripts)
    facts = json.loads(json.dumps(result.facts()))
    assert facts["ok"] is False
    assert {check["name"] for check in facts["checks"] if not check["ok"]} == {"exposure-exact"}
    console = Console(width=100, record=True)
    console.print(audit_table(result))
    shown = console.export_text()
    assert all(name in shown for name in INVARIANTS)
    assert "1 violated" in shown


def test_violations_are_counted_beyond_those_kept(busy: World) -> None:
    """Only the first violations are kept as text; their number is exact."""
    rewrite(busy, busy.keys.named("quotes"), lambda entries: entries[-1:])
    for number in range(100):
        execute(busy.client, "XADD", busy.keys.named("quotes"), "*", "event", str(number))
    check = audit(busy.scripts).checks[0]
    assert check.total >= 100
    assert len(check.violations) == 20


def test_fingerprints_find_repeats_and_differences() -> None:
    """Bags of fingerprints find what sets of the records would."""
    first, second = Fingerprints(), Fingerprints()
    for number in range(1_000):
        first.add(b"%d" % number)
        second.add(b"%d" % (number + 10))
    assert len(first) == 1_000
    assert not first.repeated()
    assert len(first.missing_from(second)) == 10
    assert len(first.common(second)) == 990
    first.add(b"5")
    assert len(first.repeated()) == 1
