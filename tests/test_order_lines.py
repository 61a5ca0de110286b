"""The orders of a step in a detailed log: exactly those of the step, with what became of them."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import redis

from mm import order_lines
from mm.log_event import LogEvent
from mm.order_lines import AnsweringQuotes
from mm.process import Process
from mm.store import execute as real_execute
from tests.kit import Fake, World, small_config


class Log:
    """The details that processes have logged."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        caplog.set_level("DEBUG", "mm")

    def of(self, name: str, process: str = "") -> list[dict[str, Any]]:
        """The facts of all events of this name."""
        return [
            dict(record.msg.facts)
            for record in self._caplog.records
            if isinstance(record.msg, LogEvent)
            and record.msg.name == name
            and process in record.name
        ]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    """A log with details."""
    return Log(caplog)


@pytest.fixture
def quoted(fake: Fake) -> World:
    """Two quoted symbols."""
    world = World(fake, small_config())
    world.propose("AAA")
    world.propose("BBB")
    return world


def test_one_order_from_entry_to_quote(quoted: World, log: Log) -> None:
    """Each line names the order, from its execution to the quote that answers its fill."""
    exchange, state, maker = quoted.exchange(), quoted.state(), quoted.maker()
    entry = quoted.send(quoted.order("sell", 4, order_id="o-1"))
    exchange.step()
    state.step()
    assert log.of("answered") == []
    maker.step()
    state.step()
    (executed,), (applied,), (answered,) = map(log.of, ("executed", "applied", "answered"))
    assert executed == {
        "entry": entry,
        "order": "c1/o-1",
        "status": "filled",
        "reason": "-",
        "lots": 4,
        "price_ticks": 99,
        "fill": "AAA-1",
        "quote": "AAA-1",
        "duplicate": 0,
    }
    assert applied == {"fill": "AAA-1", "order": "c1/o-1", "position_version": 1}
    assert answered == {
        "fill": "AAA-1",
        "order": "c1/o-1",
        "quote": "AAA-2",
        "position_version": 1,
    }
    state.step()
    assert log.of("answered") == [answered]


def test_what_became_of_each_order(quoted: World, log: Log) -> None:
    """A step names all of its orders: unfilled, rejected, resent and malformed ones as well."""
    exchange = quoted.exchange()
    first = quoted.order("sell", 4, order_id="same")
    low, unknown = (
        quoted.order("buy", 1, limit=1),
        quoted.order("buy", 1, symbol="ZZZ", client="c2"),
    )
    quoted.send(first, low)
    quoted.send(unknown)
    quoted.send(first)
    quoted.send_raw("o 9\n", "rub\x00bish")
    exchange.step()
    found = log.of("executed")
    words = ("order", "status", "reason", "duplicate")
    said = [tuple(one.get(word) for word in words) for one in found]
    assert said == [
        ("c1/same", "filled", "-", 0),
        (f"c1/{low.order_id}", "canceled", "not_crossing", 0),
        (f"c2/{unknown.order_id}", "rejected", "unknown_symbol", 0),
        ("c1/same", "filled", "-", 1),
        ("rub\x00bish/o 9\n", None, None, None),
    ]


def test_a_step_names_its_own_orders_only(quoted: World, log: Log) -> None:
    """Of two exchanges and two state services each names what its own steps did."""
    exchanges = [quoted.exchange("1"), quoted.exchange("2")]
    states = [quoted.state("1"), quoted.state("2")]
    for number in range(6):
        quoted.send(quoted.order("buy", 1, order_id=f"o{number}"))
        exchanges[number % 2].step()
        states[number % 3 % 2].step()
    for place in (0, 1):
        orders = [one["order"] for one in log.of("executed", f"exchange-{place + 1}")]
        assert orders == [f"c1/o{number}" for number in range(6) if number % 2 == place]
        fills = [one["fill"] for one in log.of("applied", f"state-{place + 1}")]
        assert fills == [f"AAA-{number + 1}" for number in range(6) if number % 3 % 2 == place]


def test_a_report_is_that_of_the_step(quoted: World, log: Log) -> None:
    """A resent order has two reports; the line of the second step has the second one."""
    order = quoted.order("buy", 1)
    first, second = quoted.exchange("1"), quoted.exchange("2")
    quoted.send(order)
    first.step()
    quoted.advance(2)
    second.step()
    quoted.send(order)
    second.step()
    assert [one["duplicate"] for one in log.of("executed", "exchange-2")] == [1]


def test_many_orders_in_one_step(quoted: World, log: Log) -> None:
    """All orders of a full step are named once, and all fills that one quote answers."""
    orders = [quoted.order("buy", 1, symbol=("AAA", "BBB")[i % 2]) for i in range(18)]
    for part in (orders[:7], orders[7:]):
        quoted.send(*part)
    state = quoted.state()
    quoted.exchange().step()
    state.step()
    quoted.maker().step()
    state.step()
    assert [one["order"] for one in log.of("executed")] == [f"c1/{one.order_id}" for one in orders]
    fills = [f"{name}-{number}" for name in ("AAA", "BBB") for number in range(1, 10)]
    assert sorted(one["fill"] for one in log.of("applied")) == sorted(fills)
    assert sorted(one["fill"] for one in log.of("answered")) == sorted(fills)


def test_the_first_quote_that_answers(quoted: World, log: Log) -> None:
    """A fill is answered once, by the first quote from its position, also after an expiry."""
    state, maker = quoted.state(), quoted.maker()
    maker.step()
    for number in range(2):
        quoted.trade(quoted.order("buy", 1, order_id=f"o{number}"))
        state.step()
    maker.step()
    quoted.trade(quoted.order("buy", 1), quoted.order("buy", 1, symbol="BBB"))
    state.step()
    quoted.advance(60_000)
    maker.step()
    quoted.advance(60_000)
    maker.step()
    state.step()
    assert [(one["fill"], one["quote"]) for one in log.of("answered")] == [
        ("AAA-1", "AAA-2"),
        ("AAA-2", "AAA-2"),
        ("AAA-3", "AAA-3"),
        ("BBB-1", "BBB-2"),
    ]
    assert log.of("answered")[1]["order"] == "c1/o1"


def test_fills_of_a_halted_symbol_wait(quoted: World, log: Log) -> None:
    """No quote answers them while the symbol is halted; the first one afterwards does."""
    state, maker = quoted.state(), quoted.maker()
    quoted.trade(quoted.order("buy", 1))
    state.step()
    quoted.control("halted", "AAA")
    quoted.advance(1_000)
    maker.step()
    state.step()
    assert log.of("answered") == []
    quoted.control("active", "AAA")
    maker.step()
    state.step()
    assert [one["fill"] for one in log.of("answered")] == ["AAA-1"]


def test_a_quote_that_was_read_before_its_fill_was_known(quoted: World, log: Log) -> None:
    """The server commits before this process reads the reply, and a maker may be faster still."""
    answers = AnsweringQuotes(quoted.scripts)
    quoted.trade(quoted.order("buy", 1, symbol="BBB"))
    first = quoted.scripts.commit(10)
    assert list(answers.expect([{"fill": "BBB-1", "order": "c1/b"}], first.now_ms))
    quoted.advance(5)
    quoted.trade(quoted.order("buy", 1))
    second = quoted.scripts.commit(10)
    quoted.advance(5)
    maker = quoted.maker()
    maker.step()
    assert [one["fill"] for one in answers.found()] == ["BBB-1"]
    quoted.trade(quoted.order("buy", 1))
    quoted.scripts.commit(10)
    quoted.advance(5)
    maker.step()
    assert list(answers.found()) == []
    assert list(answers.expect([{"fill": "AAA-1", "order": "c1/a"}], second.now_ms))
    (found,) = answers.found()
    assert (found["quote"], found["order"]) == ("AAA-2", "c1/a")


def test_a_fill_that_becomes_known_while_another_waits(quoted: World, log: Log) -> None:
    """The quotes are read again from the time of its commit, and nothing is named twice."""
    answers = AnsweringQuotes(quoted.scripts)
    quoted.control("halted", "BBB")
    quoted.trade(quoted.order("buy", 1))
    first = quoted.scripts.commit(10)
    list(answers.expect([{"fill": "BBB-9", "order": "c1/b"}], first.now_ms))
    quoted.advance(5)
    maker = quoted.maker()
    maker.step()
    assert list(answers.found()) == []
    list(answers.expect([{"fill": "AAA-1", "order": "c1/a"}], first.now_ms))
    # Another one from its time on takes nothing from the first.
    quoted.advance(5)
    quoted.trade(quoted.order("buy", 1))
    second = quoted.scripts.commit(10)
    list(answers.expect([{"fill": "AAA-2", "order": "c1/c"}], second.now_ms))
    assert [(one["fill"], one["quote"]) for one in answers.found()] == [("AAA-1", "AAA-2")]
    assert list(answers.found()) == []


def test_many_quote_events(quoted: World, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """More events than one read takes, and more fills of a symbol than wait at once."""
    monkeypatch.setattr(order_lines, "EVENTS", 2)
    monkeypatch.setattr(order_lines, "MAX_UNANSWERED", 3)
    state, maker = quoted.state(), quoted.maker()
    quoted.trade(*[quoted.order("buy", 1) for _ in range(5)])
    state.step()
    quoted.propose("BBB")
    for _ in range(4):
        quoted.advance(60_000)
        quoted.propose("BBB")
    maker.step()
    state.step()
    assert [one["fill"] for one in log.of("answered")] == ["AAA-3", "AAA-4", "AAA-5"]


def test_the_quotes_are_read_only_while_a_fill_waits(
    quoted: World, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a fill, and without details, the state service reads no quote event."""
    read: list[tuple[Any, ...]] = []

    def counted(client: redis.Redis, *words: str | int) -> Any:
        read.append(words)
        return real_execute(client, *words)

    monkeypatch.setattr(order_lines, "execute", counted)
    state, maker = quoted.state(), quoted.maker()
    state.step()
    assert read == []
    quoted.trade(quoted.order("buy", 1))
    for each in (state, maker, state):
        each.step()
    asked = len(read)
    assert asked == 2
    state.step()
    assert len(read) == asked
    quoted.advance(5)
    quoted.trade(quoted.order("buy", 1))
    committed_ms = quoted.now_ms()
    state.step()
    # Nothing from before the commit is read.
    assert [words[-1] for words in read[asked:]] == [f"{committed_ms - 1}-0"]
    maker.step()
    state.step()
    asked = len(read)
    logging.getLogger("mm").setLevel("INFO")
    quoted.trade(quoted.order("buy", 1))
    for each in (state, maker, state):
        each.step()
    assert len(read) == asked


def test_fills_that_are_not_applied_are_not_named(quoted: World, log: Log) -> None:
    """A record that halts its symbol has no line among those that were applied."""
    state = quoted.state()
    quoted.trade(quoted.order("buy", 1, symbol="BBB", order_id="good"))
    quoted.client.xadd(quoted.keys.named("fills"), {"AAA-7": "buy 1 100 c1 bad AAA-1 1 100"})
    state.step()
    assert [one["order"] for one in log.of("applied")] == ["c1/good"]


def test_without_details_nothing_more_is_read(
    quoted: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default a step costs no read, and the log has no order."""
    caplog.set_level("INFO", "mm")

    def read(*_: object) -> None:
        raise AssertionError("the streams were read")

    monkeypatch.setattr("mm.order_lines.StreamReader", read)
    quoted.send(quoted.order("buy", 1))
    for process in (quoted.exchange(), quoted.state(), quoted.maker()):
        process.step()
    assert caplog.messages == []


def test_a_log_does_no_harm(quoted: World, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be read for the log is not in it; the step counts all the same."""
    processes: list[Process] = [quoted.exchange(), quoted.state()]

    def refuse(*_: object) -> None:
        raise redis.exceptions.NoPermissionError("no right to xrange")

    monkeypatch.setattr("mm.order_lines.StreamReader.entries", refuse)
    quoted.send(quoted.order("buy", 1))
    for process in processes:
        process.step()
    assert [process.count for process in processes] == [1, 1]
    unread = [one["of"] for one in log.of("unread")]
    assert unread == ["executed", "applied"]
