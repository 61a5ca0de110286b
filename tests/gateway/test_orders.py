"""Orders over HTTP: one answer, once, whatever is sent again, refused, slow or down."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mm.audit import audit
from mm.facts import SystemState
from mm.gateway import links
from mm.market import Config, Fill
from mm.store import Scripts, StreamReader, text
from tests.gateway.served import CLIENT, HANG_S, Market, Served, process, serving
from tests.kit import wait_for

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("gateway")]

TOKEN = f"client-{CLIENT}"


def fills_of(market: Market, order_id: str) -> list[Fill]:
    """The fills of an order of the client, in the ledger."""
    reader = StreamReader(market.scripts)
    key = reader.keys.named("fills")
    records = reader.records(key, "+")
    found = [Fill.parse(text(name), text(line)) for _, name, line in records]
    return [one for one in found if (one.client_id, one.order_id) == (CLIENT, order_id)]


def test_an_order_is_answered_by_its_report(served: Served) -> None:
    """An order that crosses is filled; the answer has the names of `mm order --json`."""
    served.market.quoted()
    with served.as_(TOKEN) as client:
        answer = client.post("/orders", json=served.order("filled-1"))
    facts = answer.json()
    assert answer.status_code == 200
    assert facts["status"] == "filled" and facts["filled_quantity"] == "1"
    assert facts["client_id"] == CLIENT and not facts["duplicate"]
    assert {"durability", "durability_reasons", "trouble", "reason_text"} <= facts.keys()
    (fill,) = fills_of(served.market, "filled-1")
    assert fill.fill_id == facts["fill_id"]


def test_the_same_order_again_gets_the_same_report(served: Served) -> None:
    """Sent again it does not trade again: the first outcome comes, marked as a duplicate."""
    served.market.quoted()
    with served.as_(TOKEN) as client:
        first, again = (client.post("/orders", json=served.order("again-1")) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200)
    changing = {"duplicate", "ts_ms", "trouble"}
    same = [{name: value for name, value in one.json().items() if name not in changing}
            for one in (first, again)]  # fmt: skip
    assert same[0] == same[1]
    assert (first.json()["duplicate"], again.json()["duplicate"]) == (False, True)
    assert len(fills_of(served.market, "again-1")) == 1


def test_many_at_the_same_time_trade_once(served: Served) -> None:
    """Of twenty senders of one order each gets the report, and one is the first."""
    served.market.quoted()

    def send(_number: int) -> dict[str, Any]:
        with served.as_(TOKEN) as client:
            found: dict[str, Any] = client.post("/orders", json=served.order("many-1")).json()
            return found

    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(send, range(20)))
    assert Counter(one["duplicate"] for one in found) == {False: 1, True: 19}
    assert {one["fill_id"] for one in found} == {found[0]["fill_id"]}
    assert len(fills_of(served.market, "many-1")) == 1


def test_another_order_under_a_used_id_is_a_conflict(served: Served) -> None:
    """Other content under the same id is 409, names the first order, and trades nothing."""
    served.market.quoted()
    with served.as_(TOKEN) as client:
        first = client.post("/orders", json=served.order("used-1"))
        answer = client.post("/orders", json=served.order("used-1", symbol="MSFT"))
    assert (first.status_code, answer.status_code) == (200, 409)
    facts = answer.json()
    assert facts["error"] == facts["reason"] == "order_id_conflict"
    assert facts["first_order"]["symbol"] == "AAPL" and "AAPL buy 1" in facts["message"]
    assert [one.symbol for one in fills_of(served.market, "used-1")] == ["AAPL"]


def test_two_orders_of_one_id_at_the_same_time(quoting: Market) -> None:
    """While an order waits, another one of its id is 409 at once, and the first goes on."""
    quoting.quoted()
    key = quoting.scripts.keys.named("orders")
    with (
        serving(quoting, 20) as served,
        served.as_(TOKEN) as client,
        served.as_(TOKEN) as other,
        ThreadPoolExecutor(1) as pool,
        quoting.without("exchange-1"),
    ):
        before = quoting.scripts.client.xlen(key)
        first = pool.submit(client.post, "/orders", json=served.order("both-1"))
        wait_for("the first order", lambda: quoting.scripts.client.xlen(key) > before)
        answer = other.post("/orders", json=served.order("both-1", side="sell"))
        assert answer.status_code == 409, answer.text
        assert "AAPL buy 1" in answer.json()["first_order"]["content"]
        quoting.supervise("exchange-1")
        assert first.result(HANG_S).status_code == 200, first.result().text
    assert [one.side for one in fills_of(quoting, "both-1")] == ["buy"]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"symbol": "NOPE"}, "NOPE"),
    ({"symbol": "aapl"}, "A-Z 0-9"),
    ({"symbol": 5}, "text"),
    ({"side": "b"}, "buy or sell"),
    ({"side": None}, "text"),
    ({"quantity": "1.5"}, "lot"),
    ({"quantity": "0"}, "integer from 1"),
    ({"quantity": "-1"}, "-1"),
    ({"quantity": "1e3"}, "plain decimal"),
    ({"quantity": "9" * 20}, "integer from 1"),
    ({"quantity": []}, "text"),
    ({"quantity": True}, "text"),
    ({"limit_price": "187.505"}, "tick"),
    ({"limit_price": "x"}, "plain decimal"),
    ({"limit_price": ""}, "plain decimal"),
    ({"order_id": "a b"}, "A-Z a-z 0-9"),
    ({"order_id": ""}, "1 to 64"),
    ({"order_id": "x" * 65}, "1 to 64"),
    ({"client_id": "é"}, "token"),
    ({"limit": "1"}, "not known"),
]


@pytest.mark.parametrize(("changes", "rule"), BAD, ids=lambda value: str(value)[:40])
def test_a_bad_order_names_value_and_rule(
    served: Served, changes: dict[str, Any], rule: str
) -> None:
    """What breaks a rule is refused before anything is sent."""
    before = served.market.scripts.client.xlen(served.market.scripts.keys.named("orders"))
    with served.as_(TOKEN) as client:
        answer = client.post("/orders", json=served.order("bad-1", **changes))
    assert answer.status_code in (403, 422), answer.text
    assert rule in answer.json()["message"]
    after = served.market.scripts.client.xlen(served.market.scripts.keys.named("orders"))
    assert after == before


@pytest.mark.parametrize("name", ["order_id", "symbol", "side", "quantity", "limit_price"])
def test_a_missing_field_is_named(served: Served, name: str) -> None:
    """An order lacks nothing."""
    body = served.order("lacks-1")
    del body[name]
    with served.as_(TOKEN) as client:
        answer = client.post("/orders", json=body)
    assert answer.status_code == 422
    assert answer.json()["message"] == f"{name}: it is missing"


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"[]", b'"x"', b"null", b"NaN", b'{"quantity": NaN}', b"\xff", b"{}{}",
        b"[" * 10_000, b'{"a":' * 2_000, b'{"order_id": "a", "order_id": "b"}', b"\xef\xbb\xbf{}",
    ],
    ids=lambda raw: repr(raw[:12]),
)  # fmt: skip
def test_what_is_no_json_object_is_400(served: Served, raw: bytes) -> None:
    """Rubbish in the body is an answer in words, never a fault."""
    with served.as_(TOKEN) as client:
        headers = {"Content-Type": "application/json"}
        answer = client.post("/orders", content=raw, headers=headers)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"] == "bad_json"
        other = client.post("/orders", content=b"{}", headers={"Content-Type": "text/plain"})
        assert other.status_code == 415


def test_a_number_is_read_exactly(served: Served) -> None:
    """A JSON number keeps its digits: one that a float cannot hold is refused by its rule."""
    served.market.quoted()
    with served.as_(TOKEN) as client:
        headers = {"Content-Type": "application/json"}
        plain = json.dumps(served.order("exact-1")).replace('"250.00"', "{price}")
        plain = plain.replace('"1"}', '"1"}')
        answer = client.post("/orders", content=plain.replace("{price}", "250.00"), headers=headers)
        assert answer.status_code == 200, answer.text
        bad = "250.0000000000000001"
        answer = client.post("/orders", content=plain.replace("{price}", bad), headers=headers)
        assert answer.status_code == 422
        assert bad in answer.json()["message"]


def test_a_client_trades_under_its_own_name(served: Served) -> None:
    """A client's token sends no order of another client; an operator's names whose it is."""
    served.market.quoted()
    with served.as_(TOKEN) as client:
        answer = client.post("/orders", json=served.order("name-1", client_id="other"))
        assert answer.status_code == 403
    with served.as_("operator") as client:
        answer = client.post("/orders", json=served.order("name-1"))
        assert answer.status_code == 422 and "client_id" in answer.json()["message"]
        answer = client.post("/orders", json=served.order("name-1", client_id="other"))
        assert answer.status_code == 200 and answer.json()["client_id"] == "other"


def test_a_report_that_does_not_come_is_503(quoting: Market) -> None:
    """Without an exchange the answer comes in time, names what is down, and a repeat is safe."""
    quoting.quoted()
    with serving(quoting, order_s=2.5) as served, served.as_(TOKEN) as client:
        with quoting.without("exchange-1"):
            begun = time.monotonic()
            answer = client.post("/orders", json=served.order("late-1"))
            waited = time.monotonic() - begun
            facts = answer.json()
            assert answer.status_code == 503 and answer.headers["retry-after"]
            assert waited < HANG_S / 2
            assert any("exchange" in words for words in facts["down"]), facts
            assert facts["may_be_executed"] is True
            assert "send it again under the same order_id" in facts["message"]
        quoting.quoted()
        served.answered(client, "late-1")
    assert len(fills_of(quoting, "late-1")) <= 1
    assert audit(quoting.scripts).ok


def test_a_server_that_hangs_is_503(quoting: Market) -> None:
    """While the server is frozen every kind of request is answered in time and in words."""
    quoting.quoted()
    with serving(quoting, 1.0) as served, served.as_(TOKEN) as client:
        served.answered(client, "hang-0")
        with quoting.frozen_server(), served.as_("viewer") as viewer:
            # Of the first the desk learns; for the second not even the configuration can be read.
            for name, sent in (("hang-1", True), ("hang-2", False)):
                begun = time.monotonic()
                answer = client.post("/orders", json=served.order(name))
                # It waits for the order, and then for one short look, not for the server.
                assert time.monotonic() - begun < links.SERVER_S
                assert answer.status_code == 503, answer.text
                assert any("does not answer" in words for words in answer.json()["down"])
                assert answer.json()["may_be_executed"] is sent
            answer = viewer.get("/api/positions")
            assert answer.status_code == 503, answer.text
            assert answer.json()["down"], answer.text
        quoting.quoted()
        served.answered(client, "hang-1")
    assert len(fills_of(quoting, "hang-1")) <= 1


def test_a_report_is_answered_whatever_follows(
    quoting: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report that has come is the answer, when the state cannot be read afterwards, too."""

    def lost(_scripts: Scripts) -> SystemState:
        raise ConnectionError("cut off")

    def slow(_scripts: Scripts) -> SystemState:
        time.sleep(1.0)
        return real(_scripts)

    real = SystemState.now
    quoting.quoted()
    monkeypatch.setattr(links, "LOOK_S", 0.2)
    for number, (now, words) in enumerate(((lost, "cut off"), (slow, "within 0.2 s"))):
        monkeypatch.setattr(SystemState, "now", now)
        with serving(quoting) as served, served.as_(TOKEN) as client:
            answer = client.post("/orders", json=served.order(f"whatever-{number}"))
        facts = answer.json()
        assert answer.status_code == 200, answer.text
        assert facts["status"] == "filled" and facts["durability"] == "unknown"
        assert len(facts["trouble"]) == 1 and words in facts["trouble"][0]


def test_an_order_that_was_not_sent_says_so(
    quoting: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a configuration nothing can be sent, and the answer has the fields of each 503."""

    def lost(_scripts: Scripts) -> Config:
        raise ConnectionError("cut off")

    monkeypatch.setattr(links, "require_config", lost)
    with serving(quoting) as served, served.as_(TOKEN) as client:
        answer = client.post("/orders", json=served.order("unsent-1"))
    assert answer.status_code == 503
    assert answer.json()["may_be_executed"] is False
    assert "cut off" in answer.json()["message"] and answer.json()["down"]


def test_an_order_given_up_is_not_sent_later(
    quoting: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was answered 503 before it could be sent is never sent afterwards."""
    # The configuration counts as known, so that the second order comes as far as to its desk.
    monkeypatch.setattr(links, "KNOWN_S", 60.0)
    quoting.quoted()
    with serving(quoting, order_s=0.5) as served, served.as_(TOKEN) as client:
        served.answered(client, "given-0")
        with quoting.frozen_server():
            # The first fills the connection's buffer; the second waits in the gateway.
            for number in (1, 2):
                assert (
                    client.post("/orders", json=served.order(f"given-{number}")).status_code == 503
                )
            # The thread that has sent the first one still waits for the server.
            time.sleep(0.1)
        quoting.quoted()
        served.answered(client, "given-3")
    assert fills_of(quoting, "given-2") == []


def test_a_gateway_that_is_killed_loses_nothing(quoting: Market) -> None:
    """After kill -9 another gateway answers the same order with its first outcome."""
    quoting.quoted()
    with process(quoting) as (running, served):
        with served.as_(TOKEN) as client:
            first = client.post("/orders", json=served.order("killed-1"))
            assert first.status_code == 200, first.text
        os.kill(running.pid, signal.SIGKILL)
        running.wait(HANG_S)
    with process(quoting) as (running, served):
        with served.as_(TOKEN) as client:
            again = client.post("/orders", json=served.order("killed-1"))
        assert again.json()["duplicate"] and again.json()["fill_id"] == first.json()["fill_id"]
        os.kill(running.pid, signal.SIGTERM)
        assert running.wait(HANG_S) == 0
    assert len(fills_of(quoting, "killed-1")) == 1
