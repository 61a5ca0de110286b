"""``mm order``: what it prints, and its exit status."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from mm.cli import main
from mm.host import System
from mm.store import execute
from tests.kit import World


@pytest.fixture
def market(fake_world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Two symbols quoted at 0.99 x 1.01, an exchange at work, and ``mm order`` that finds them."""
    world, stop = fake_world, threading.Event()
    world.propose("AAA")
    world.propose("BBB")
    monkeypatch.setattr(System, "scripts", lambda _self, **_: world.make_scripts())
    scripts = world.make_scripts()

    def work() -> None:
        while not stop.wait(0.001):
            scripts.match(100)

    thread = threading.Thread(target=work)
    thread.start()
    yield world
    stop.set()
    thread.join()


def order(*words: str) -> Result:
    """``mm order`` with these words."""
    return CliRunner().invoke(main, ["order", *words])


def test_same_order_again(market: World) -> None:
    """The same order under the same id has the first outcome again, and status 0."""
    first = order("AAA", "buy", "5", "1.01", "--order-id=x", "--json")
    again = order("AAA", "buy", "5", "1.01", "--order-id=x", "--json")
    assert (first.exit_code, again.exit_code) == (0, 0)
    facts = json.loads(again.stdout)
    assert (facts["fill_id"], facts["duplicate"], "first_order" in facts) == ("AAA-1", True, False)
    assert len(market.fills()) == 1


def test_id_of_another_order(market: World) -> None:
    """Another order under a used id ends with status 1, names the first, and mixes nothing."""
    order("AAA", "buy", "5", "1.01", "--order-id=x")
    done = order("BBB", "sell", "3", "0.99", "--order-id=x", "--json")
    assert done.exit_code == 1
    facts = json.loads(done.stdout)
    assert (facts["symbol"], facts["status"]) == ("BBB", "rejected")
    assert (facts["filled_quantity"], facts["canceled_quantity"]) == ("0", "3")
    assert (facts["fill_id"], facts["duplicate"]) == ("", False)
    first = facts["first_order"]
    assert (first["symbol"], first["side"], first["quantity"]) == ("AAA", "buy", "5")
    assert (first["status"], first["fill_id"], first["price"]) == ("filled", "AAA-1", "1.01")
    assert "order id x of client by-hand was used before" in done.stderr
    assert "AAA buy 5 at 1.01, filled 5 at 1.01 by fill AAA-1" in done.stderr
    table = order("BBB", "sell", "3", "0.99", "--order-id=x")
    assert table.exit_code == 1
    assert "AAA-1" in table.stdout
    assert len(market.fills()) == 1


def test_first_order_was_malformed(market: World) -> None:
    """A malformed line that took the id is named as it came."""
    market.send_raw("x", "by-hand AAA buy five 101")
    done = order("AAA", "buy", "5", "1.01", "--order-id=x")
    assert done.exit_code == 1
    assert "'AAA buy five 101'" in done.stderr
    assert "quantity_not_integer" in done.stderr


def test_first_order_was_of_another_symbol_set(market: World) -> None:
    """The first order may be for a symbol that is not configured."""
    market.send_raw("x", "by-hand ZZZ buy 5 101")
    done = order("AAA", "buy", "5", "1.01", "--order-id=x")
    assert done.exit_code == 1
    assert "'ZZZ buy 5 101'" in done.stderr


def test_report_of_another_sender(market: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report that fits is not believed when the memory says that its order is another."""
    order("AAA", "buy", "5", "1.01", "--order-id=x")
    line = market.records("reports:*", "by-hand")[0][1]
    monkeypatch.setattr(
        "mm.cli.order.OrderClient.submit",
        lambda _client, sent, _timeout: type(market.reports("by-hand")[0]).parse("x", line),
    )
    done = order("AAA", "buy", "5", "1.02", "--order-id=x")
    assert done.exit_code == 1
    assert "AAA buy 5 at 1.01" in done.stderr


def test_memory_of_schema_1(market: World) -> None:
    """Memory without contents: the same order is a duplicate, one that cannot be it is refused."""
    order("AAA", "buy", "5", "1.01", "--order-id=x")
    (bucket,) = [key for key in market.dump() if ":seen:" in key]
    execute(market.client, "HSET", bucket, "by-hand/x", "filled - 5 101 AAA-1 AAA-1")
    assert order("AAA", "buy", "5", "1.01", "--order-id=x").exit_code == 0
    done = order("BBB", "sell", "3", "0.99", "--order-id=x")
    assert done.exit_code == 1
    assert "an order, with the outcome filled - 5 101 AAA-1 AAA-1" in done.stderr
