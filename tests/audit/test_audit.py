"""The audit: clean after a busy run, and names each invariant that a test breaks on purpose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mm.audit import audit
from mm.audit.fingerprints import Fingerprints
from mm.audit.invariants import INVARIANTS
from mm.store import Raw, execute, read_raw
from mm.terminal import audit_table
from tests.kit import Fake, MakeWorld, World, small_config
from tests.kit.breaks import (
    BREAKS,
    TRIMMED,
    UNREADABLE,
    Break,
    add,
    archive_file,
    archived_lots_altered,
    edit_archive,
    first_outcome,
    order_executed_twice,
    outcome_forgotten,
    quoted,
    rewrite,
    set_field,
    total_off,
)
from tests.kit.busy import run_busy
from tests.kit.verdicts import failed, violations


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
    ("names", "spoil"),
    [pytest.param(*one, id=f"{one[0][0]}-{one[1].__name__}") for one in BREAKS],
)
def test_each_break_fails_exactly_its_check(
    busy: World, names: tuple[str, ...], spoil: Break
) -> None:
    """One invariant broken by editing keys or the archive: its check fails, and no other."""
    spoil(busy)
    assert failed(busy) == set(names)


@pytest.mark.parametrize("spoil", UNREADABLE)
def test_nothing_is_judged_without_the_archive(busy: World, spoil: Break) -> None:
    """Where fills are in the archive only, and it cannot be read, no check passes; all say why."""
    where = str(archive_file(busy))
    spoil(busy)
    result = audit(busy.scripts)
    assert not any(check.ok for check in result.checks)
    said = {check.name: " ".join(check.violations) for check in result.checks}
    assert where in said["archive-whole"] or "{mm}:archive" in said["archive-whole"]
    assert all("not judged: " in text for text in said.values())


def test_no_mark_of_an_archive_that_cannot_be_read(busy: World) -> None:
    """An audit since an instant does not say what it left out where it has read nothing."""
    archive_file(busy).unlink()
    result = audit(busy.scripts, since_ms=busy.now_ms())
    assert not [note for check in result.checks for note in check.notes if "not read" in note]


def test_an_altered_fill_accuses_no_position(busy: World) -> None:
    """The symbol of a damaged chain is judged no further, and that is said; the others are."""
    archived_lots_altered(busy)
    checks = {check.name: check for check in audit(busy.scripts).checks}
    (said,) = checks["archive-whole"].violations
    symbol = said.partition("damaged: fill ")[2].rpartition("-")[0]
    assert checks["position-exact"].notes == (f"{symbol} not judged: its archive is damaged",)
    other = next(name for name in busy.names if name != symbol)
    add(busy, "position:*", other, "net_lots", 1)
    assert failed(busy) == {"archive-whole", "position-exact"}


def test_a_removed_fill_that_the_archive_lacks(busy: World) -> None:
    """It is missing in the archive, in the ledger, and in what follows from it."""
    edit_archive(busy, "DELETE FROM fills WHERE place = ?", TRIMMED)
    result = audit(busy.scripts)
    assert {"archive-whole", "ledger-dense"} <= failed(busy)
    assert str(archive_file(busy)) in violations(result)


def test_a_missing_archive_before_anything_was_removed(fake_world: World, tmp_path: Path) -> None:
    """While the ledger has all fills, only the check of the archive fails."""
    fake_world.propose()
    fake_world.trade(fake_world.order())
    fake_world.drain()
    fake_world.archive(tmp_path).unlink()
    assert failed(fake_world) == {"archive-whole"}


def test_every_invariant_is_broken_by_some_test() -> None:
    """For each check of the audit a test sees it fail."""
    assert {names[0] for names, _ in BREAKS} == set(INVARIANTS)


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


def test_an_outcome_that_is_forgotten_is_named_by_its_fill(busy: World) -> None:
    """The ledger alone tells, where neither the order nor a report of it is there any more."""
    execute(busy.client, "XTRIM", busy.keys.named("orders"), "MAXLEN", "=", 1)
    busy.client.delete(busy.keys.member("reports:*", "c1"), busy.keys.member("reports:*", "c2"))
    assert failed(busy) == set()
    _, order, words = first_outcome(busy)
    (fill,) = [fill for fill in busy.fills() if fill.fill_id == words[8]]
    outcome_forgotten(busy)
    assert failed(busy) == {"order-once"}
    said = f"fill {fill.fill_id}: the outcome of its order {order} is not remembered"
    assert said in violations(audit(busy.scripts))


def test_an_order_executed_twice_is_named_with_its_fills(busy: World) -> None:
    """Both fills are named, whether the archive has them or the stream."""
    first, second = [fill for fill in busy.kept_fills() if fill.client_id == "c1"][:2]
    order_executed_twice(busy)
    said = f"order c1/{first.order_id} was executed twice: fills {first.fill_id} and"
    assert f"{said} {second.fill_id}" in violations(audit(busy.scripts))


def test_halted_symbol_is_noted(busy: World) -> None:
    """A ledger with a foreign record fails, and a note names the halt that followed."""
    execute(busy.client, "XADD", busy.keys.named("fills"), "*", "AAA-9999", "buy 1 1 c o AAA-1 1")
    busy.drain()
    result = audit(busy.scripts, quiescent=True)
    assert "AAA fill 9999 follows" in violations(result)
    notes = " ".join(note for check in result.checks for note in check.notes)
    assert "AAA is halted" in notes


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
