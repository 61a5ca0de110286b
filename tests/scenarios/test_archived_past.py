"""The past reads the same before and after it was archived: rows, stories, audit, repair."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mm.audit import audit
from mm.errors import ArchiveBroken, SystemRefused
from mm.explain import explain, fill_of_order, of_fill
from mm.records import fill_rows, order_rows, quote_rows
from mm.repair import examine
from mm.store import StreamReader, execute
from tests.kit import World
from tests.kit.past import facts_of, trade


def with_past(world: World) -> World:
    """Two symbols with forty fills, of a system that keeps one fill in the ledger."""
    world.configure(keep_fills=1)
    for number in range(20):
        first, second = ("sell", "buy") if number % 2 else ("buy", "sell")
        trade(world, "AAA", first, 1 + number % 3, 5, order_id=f"a{number}")
        trade(world, "BBB", second, 2, 5, order_id=f"b{number}")
    return world


@pytest.fixture
def traded(world: World) -> World:
    """Such a system on each server."""
    return with_past(world)


def everything(world: World) -> dict[str, Any]:
    """What readers say of the past."""
    found: dict[str, Any] = {
        "fills": facts_of(world.scripts, fill_rows),
        "orders": facts_of(world.scripts, order_rows),
        "quotes": facts_of(world.scripts, quote_rows),
        "some": facts_of(world.scripts, fill_rows, symbols=frozenset({"BBB"})),
    }
    for symbol in ("AAA", "BBB"):
        story = explain(world.scripts, symbol, last=100)
        found[symbol] = (story.steps, story.notes)
    return found


def test_no_seam(traded: World, tmp_path: Path) -> None:
    """Rows and stories are the same when all fills but the newest are in the archive only."""
    before = everything(traded)
    assert len(before["fills"]) == 40
    traded.archive(tmp_path)
    assert len(traded.stream("fills")) == 1
    assert everything(traded) == before
    assert audit(traded.scripts).ok


def test_orders_keep_their_outcomes(traded: World, tmp_path: Path) -> None:
    """An archived order has its outcome when the exchange has long forgotten it."""
    traded.archive(tmp_path)
    before = facts_of(traded.scripts, order_rows)
    execute(traded.client, "XTRIM", traded.keys.named("orders"), "MAXLEN", 1)
    for bucket in StreamReader(traded.scripts).members("seen:*"):
        traded.client.delete(traded.keys.member("seen:*", bucket))
    assert facts_of(traded.scripts, order_rows) == before
    assert {one["status"] for one in before} == {"filled"}
    assert fill_of_order(traded.scripts, "c1/a0") == "AAA-1"
    with pytest.raises(SystemRefused, match="c1/a99 is not remembered, and not in the archive"):
        fill_of_order(traded.scripts, "c1/a99")


def test_a_fill_of_long_ago(fake_world: World, tmp_path: Path) -> None:
    """The story of an old fill ends soon after it, with the positions of that time."""
    traded = with_past(fake_world)
    before = of_fill(explain(traded.scripts, "AAA", last=100), "AAA-3")
    traded.archive(tmp_path)
    ttl_ms = traded.config.quote_ttl_ms
    traded.advance(3 * ttl_ms)
    trade(traded, "BBB", "buy", 1)
    traded.archive(tmp_path)
    now = of_fill(explain(traded.scripts, "AAA", fill=3), "AAA-3")
    assert [step.text for step in now.steps] == [step.text for step in before.steps]


def test_profit_and_repair(traded: World, tmp_path: Path) -> None:
    """A position is rebuilt from ledger and archive together."""
    traded.archive(tmp_path)
    good = traded.hash("position:*", "AAA")
    traded.client.hset(traded.keys.member("position:*", "AAA"), "net_lots", "12345")
    traded.control("halted", "AAA")
    found = examine(traded.scripts, "AAA")
    assert found.fills == 20
    assert found.differing == {"net_lots": ("12345", good["net_lots"])}


def test_a_missing_archive_is_named(traded: World, tmp_path: Path) -> None:
    """Who reads without the archive gets its name and no part of the past."""
    traded.archive(tmp_path)
    (tmp_path / "archive.db").rename(tmp_path / "away.db")
    with pytest.raises(ArchiveBroken, match=r"archive\.db: the archive is missing"):
        facts_of(traded.scripts, fill_rows)
    found = audit(traded.scripts)
    (whole,) = [one for one in found.checks if one.name == "archive-whole"]
    assert "archive.db: the archive is missing" in whole.violations[0]


def test_an_audit_since(traded: World, tmp_path: Path) -> None:
    """It reads the fills behind the marks, and finds what is wrong there."""
    traded.archive(tmp_path)
    for _ in range(3):
        trade(traded, "AAA", "sell", 1, 5)
    traded.archive(tmp_path)
    since_ms = traded.now_ms()
    found = audit(traded.scripts, since_ms=since_ms)
    assert found.ok
    (dense,) = [one for one in found.checks if one.name == "ledger-dense"]
    (all_dense,) = [one for one in audit(traded.scripts).checks if one.name == "ledger-dense"]
    assert 0 <= dense.checked["fills"] < all_dense.checked["fills"] == 43
