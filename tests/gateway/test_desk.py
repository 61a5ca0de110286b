"""The desks of the clients: how much may wait there, and what ends one, without a client lost."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from mm.gateway import desk, orders
from mm.log_event import LogEvent
from mm.orders import first_orders
from mm.store import execute
from tests.gateway.served import HANG_S, Market, Served, serving
from tests.kit import wait_for

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("gateway")]


def post(served: Served, client_id: str, name: str) -> httpx.Response:
    """The answer to an order of the client."""
    with served.as_("operator") as client:
        return client.post("/orders", json=served.order(name, client_id=client_id))


def sent(market: Market, pool: ThreadPoolExecutor, *words: Any) -> Future[httpx.Response]:
    """The answer to come, of an order that is on its way now."""
    key = market.scripts.keys.named("orders")
    before = market.scripts.client.xlen(key)
    future = pool.submit(post, *words)
    wait_for("the order", lambda: market.scripts.client.xlen(key) > before)
    return future


def test_orders_beyond_the_bound_are_not_sent(
    quoting: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client may have so many orders without a report; one more is refused, and not sent."""
    monkeypatch.setattr(desk, "MAX_WAITING", 2)
    key = quoting.scripts.keys.named("orders")
    quoting.quoted()
    with serving(quoting, HANG_S) as served, ThreadPoolExecutor(3) as pool:
        with quoting.without("exchange-1"):
            waiting = [sent(quoting, pool, served, "full", f"full-{number}") for number in (1, 2)]
            before = quoting.scripts.client.xlen(key)
            answer = post(served, "full", "full-3")
            assert answer.status_code == 503 and answer.json()["may_be_executed"] is False
            assert answer.json()["message"].startswith("2 orders of this client wait")
            assert quoting.scripts.client.xlen(key) == before
            # The same order waits already: it takes no place.
            again = pool.submit(post, served, "full", "full-2")
        assert {one.result().status_code for one in (*waiting, again)} == {200}
        assert post(served, "full", "full-3").status_code == 200


def test_clients_beyond_the_bound_are_not_served(
    quoting: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many clients may have orders on their way; a client without one gives its place."""
    monkeypatch.setattr(orders, "MAX_DESKS", 2)
    quoting.quoted()
    with serving(quoting, HANG_S) as served, ThreadPoolExecutor(2) as pool:
        with quoting.without("exchange-1"):
            waiting = [sent(quoting, pool, served, name, f"{name}-1") for name in ("one", "two")]
            answer = post(served, "three", "three-1")
            assert answer.status_code == 503 and answer.json()["may_be_executed"] is False
            assert answer.json()["message"].startswith("2 clients have orders on their way")
        assert {one.result().status_code for one in waiting} == {200}
        assert post(served, "three", "three-1").status_code == 200


def test_a_refusal_for_good_is_answered_at_once(quoting: Market) -> None:
    """When the server refuses the orders of a client, all that wait learn why, and may return."""
    quoting.quoted()
    key = quoting.scripts.keys.member("reports:*", "wrong")
    with serving(quoting, HANG_S) as served:
        execute(quoting.scripts.client, "SET", key, "no stream")
        try:
            answer = post(served, "wrong", "wrong-1")
        finally:
            execute(quoting.scripts.client, "DEL", key)
        assert answer.status_code == 503
        assert "refuses the order API" in answer.json()["message"]
        assert post(served, "wrong", "wrong-1").status_code == 200


def test_a_fault_ends_no_client(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of a desk is in the log and in the answer; the next order has another desk."""
    served.market.quoted()

    def faulty(*words: Any) -> Any:
        monkeypatch.setattr(desk, "first_orders", first_orders)
        raise LookupError("a fault of the test")

    monkeypatch.setattr(desk, "first_orders", faulty)
    with caplog.at_level(logging.ERROR, "mm.serve"):
        answer = post(served, "faulty", "faulty-1")
    assert answer.status_code == 503
    assert answer.json()["may_be_executed"] is True
    assert "a fault of the gateway" in answer.json()["message"]
    assert "a fault of the test" in caplog.text
    again = post(served, "faulty", "faulty-1")
    assert again.status_code == 200 and again.json()["duplicate"]


def test_an_order_without_a_report_is_in_the_log(
    quoting: Market, caplog: pytest.LogCaptureFixture
) -> None:
    """What is answered without a report says why; what the gateway does not send was not sent."""
    quoting.quoted()

    def events() -> list[tuple[str, str, str]]:
        return [
            (one.msg.name, str(one.msg.facts["order"]), str(one.msg.facts.get("why", "")))
            for one in caplog.records
            if isinstance(one.msg, LogEvent)
        ]

    with serving(quoting, 3.0) as served, ThreadPoolExecutor(1) as pool:
        with caplog.at_level(logging.INFO, "mm.serve"), quoting.without("exchange-1"):
            assert post(served, "quiet", "quiet-1").status_code == 503
        assert events() == []
        with caplog.at_level(logging.DEBUG, "mm.serve"), quoting.without("exchange-1"):
            waiting = sent(quoting, pool, served, "noted", "noted-1")
            with served.as_("operator") as client:
                other = served.order("noted-1", client_id="noted", side="sell")
                assert client.post("/orders", json=other).status_code == 409
            assert waiting.result().status_code == 503
    # The line of a sending is written when its round trip is over, so it may be the second.
    found = {name: why for name, order, why in events() if order == "noted/noted-1"}
    assert len(events()) == 3 and found["sent"] == ""
    assert "another order" in found["refused"]
    assert "no report within 3 s" in found["unanswered"]
