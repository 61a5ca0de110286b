"""``mm order``: what it prints, and its exit status."""

from __future__ import annotations

import json
import re
import signal
import threading
import time
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from mm.cli import main
from mm.host import System
from mm.interrupts import Interrupted
from mm.store import execute
from mm.terminal import watch_reports
from mm.terminal.report_watch import report_line
from tests.kit import World, make_symbol


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


TYPED = [
    (("aaa", "buy", "5", "1.01"), "bought 5 AAA at 1.01"),
    (("AAA", "BUY", "5", "1.01"), "bought 5 AAA at 1.01"),
    (("aaa", "b", "5", "1.01"), "bought 5 AAA at 1.01"),
    (("Bbb", "S", "3", "0.99"), "sold 3 BBB at 0.99"),
    (("AAA", "buy", "15", "1.01"), "partially filled: bought 10 of 15 AAA at 1.01"),
]


@pytest.mark.parametrize(("words", "said"), TYPED)
def test_as_a_person_types(market: World, words: tuple[str, ...], said: str) -> None:
    """Small letters and short words do; the report says what was done, and when."""
    done = order(*words)
    assert done.exit_code == 0, done.output
    assert said in done.stdout
    assert re.search(r", \d\d:\d\d:\d\d \S+\n", done.stdout)


def test_why_the_rest_was_not_filled(market: World) -> None:
    """A partial fill and none say why; nothing filled has a status of its own."""
    part = order("AAA", "buy", "15", "1.01")
    assert "the rest was canceled: the quote's remaining quantity was smaller" in part.stdout
    none = order("BBB", "buy", "1", "0.50")
    assert none.exit_code == 3
    assert "canceled: nothing was traded of buy 1 BBB at 0.50" in none.stdout
    assert "why: the limit price does not reach the quote's price" in none.stdout
    assert json.loads(order("BBB", "buy", "1", "0.50", "--json").stdout)["status"] == "canceled"


def test_at_the_market(market: World) -> None:
    """A far limit on a tick, said in words; with --json the words stand beside."""
    done = order("aaa", "buy", "2", "--market")
    assert done.exit_code == 0
    assert "at the market: limit 1.10, 10 % beyond the mark (quote)" in done.stdout
    assert "bought 2 AAA at 1.01" in done.stdout
    done = order("aaa", "sell", "2", "--market", "--json")
    assert "limit 0.90, 10 % beyond" in done.stderr
    assert json.loads(done.stdout)["limit_price"] == "0.90"


MISTYPED = [
    (("AAB", "buy", "5", "1.01"), "symbol 'AAB': did you mean AAA"),
    (("XYZ", "buy", "5", "1.01"), "symbol 'XYZ': it must be one of AAA BBB"),
    (("AAA", "bye", "5", "1.01"), "side 'bye': it must be buy or sell, or b or s for short"),
    (("AAA", "buy", "-5", "1.01"), "-5: quantities and prices are above 0; `sell` says"),
    (("AAA", "buy", "5"), "an order is SYMBOL SIDE QUANTITY LIMIT_PRICE"),
    (("AAA", "buy", "5", "1.01", "--market"), "or `mm order AAPL buy 5 --market`"),
    ((), "an order is SYMBOL SIDE QUANTITY LIMIT_PRICE"),
    (("AAA", "buy", "5", "1.01", "--josn"), "No such option '--josn'. Did you mean '--json'?"),
    (("--watch", "--client-id", "a b"), "client-id 'a b'"),
]


@pytest.mark.parametrize(("words", "said"), MISTYPED)
def test_what_is_mistyped(market: World, words: tuple[str, ...], said: str) -> None:
    """It is named with its rule, status 2, and nothing is sent."""
    done = order(*words)
    assert done.exit_code == 2, done.output
    assert said in done.stderr
    assert not market.stream("orders")


def test_reports_as_they_come(market: World) -> None:
    """Each new report of the client is a line, until a signal comes; older ones are not shown."""
    order("AAA", "buy", "1", "1.01", "--order-id=old")
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if len(said) == 3:
            raise Interrupted(signal.SIGINT)

    def send() -> None:
        time.sleep(0.2)
        market.send(market.order(client="by-hand", order_id="n1", qty=2))
        market.send_raw("n2", "by-hand AAA buy five 101")
        market.send(market.order(client="by-hand", order_id="n1", qty=2))

    thread = threading.Thread(target=send)
    thread.start()
    with pytest.raises(Interrupted):
        watch_reports(market.make_scripts(), "by-hand", say)
    thread.join()
    filled, rejected, again = said
    assert "by-hand/n1: filled 2 at 1.01 by AAA-2" in filled
    assert "by-hand/n2: rejected, qty_lots is not a plain decimal integer" in rejected
    assert again.endswith("(again)")


def test_a_symbol_that_is_added_meanwhile(market: World) -> None:
    """A fill of it is a line like any other."""
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        raise Interrupted(signal.SIGINT)

    def add_and_trade() -> None:
        time.sleep(0.2)
        symbols = (*market.config.symbols, make_symbol("NEW"))
        market.configure(symbols=symbols, limit_units=2 * market.config.limit_units)
        market.propose("NEW")
        market.send(market.order(symbol="NEW", client="by-hand", order_id="n1"))

    thread = threading.Thread(target=add_and_trade)
    thread.start()
    with pytest.raises(Interrupted):
        watch_reports(market.make_scripts(), "by-hand", say)
    thread.join()
    assert "by-hand/n1: filled" in said[0]


def test_what_is_no_report_is_shown(market: World) -> None:
    """Rubbish in the stream ends nothing."""
    line = report_line(market.config, "c", "o", "what is this")
    assert line == "c/o: 'what is this' is no report"
