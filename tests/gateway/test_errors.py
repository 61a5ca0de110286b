"""Every error is JSON of the form that the description gives it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import jsonschema_rs
import pytest

from mm.gateway.desk import Answered, Desk
from mm.gateway.openapi import openapi_document
from mm.market import Order, Report
from mm.store import Controlled, ModeChange
from tests.gateway.served import CLIENT, HANG_S, Market, Served, serving
from tests.kit import wait_for

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("gateway")]

TOKEN = f"client-{CLIENT}"
DESCRIBED = openapi_document()


def checked(answer: httpx.Response, method: str = "", path: str = "") -> dict[str, Any]:
    """The facts of an error, which are those that the description has for this status.

    Without a path nothing of it is described, and the answer has the form of all errors.
    """
    schema: dict[str, Any] = {"$ref": "#/components/schemas/Error"}
    if path:
        described = DESCRIBED["paths"][path][method]["responses"][str(answer.status_code)]
        schema = described["content"]["application/json"]["schema"]
    assert answer.headers["content-type"] == "application/json"
    facts: dict[str, Any] = answer.json()
    jsonschema_rs.validate({**schema, "components": DESCRIBED["components"]}, facts)
    return facts


def order(client: httpx.Client, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """The status and the facts of an order that is refused."""
    answer = client.post("/orders", json=body)
    return answer.status_code, checked(answer, "post", "/orders")


def test_a_used_id(served: Served) -> None:
    """A conflict names the reason and the first order, in the report that refuses the other."""
    served.market.quoted()
    with served.as_(TOKEN) as client:
        first = client.post("/orders", json=served.order("form-1")).json()
        status, facts = order(client, served.order("form-1", symbol="MSFT"))
    assert (status, facts["error"], facts["reason"]) == (409, *["order_id_conflict"] * 2)
    known = facts["first_order"]
    assert known == {name: first[name] for name in known if name != "content"} | {
        "content": "AAPL buy 1 25000"
    }


def test_a_used_id_of_an_order_that_waits(quoting: Market) -> None:
    """The first order has the same names while it waits; what is not known yet is empty text."""
    quoting.quoted()
    key = quoting.scripts.keys.named("orders")
    with (
        serving(quoting, 20) as served,
        served.as_(TOKEN) as client,
        ThreadPoolExecutor(1) as pool,
        quoting.without("exchange-1"),
    ):
        before = quoting.scripts.client.xlen(key)
        first = pool.submit(order_of, served, served.order("form-2"))
        wait_for("the first order", lambda: quoting.scripts.client.xlen(key) > before)
        status, facts = order(client, served.order("form-2", quantity="2"))
        quoting.supervise("exchange-1")
        assert first.result(HANG_S).status_code == 200
    assert (status, facts["error"], facts["reason"]) == (409, *["order_id_conflict"] * 2)
    known = facts["first_order"]
    assert {name: value for name, value in known.items() if value} == {
        "content": "AAPL buy 1 25000",
        "symbol": "AAPL",
        "side": "buy",
        "quantity": "1",
        "limit_price": "250.00",
    }


def order_of(served: Served, body: dict[str, Any]) -> httpx.Response:
    """The answer to an order, on a connection of its own."""
    with served.as_(TOKEN) as client:
        return client.post("/orders", json=body)


def test_a_used_id_of_a_malformed_line(served: Served) -> None:
    """The first order may be a line of another program that was no order."""
    served.market.quoted()
    keys = served.market.scripts.keys
    served.market.scripts.client.xadd(keys.named("orders"), {"form-3": f"{CLIENT} AAPL buy x 1"})
    with served.as_(TOKEN) as client:
        status, facts = order(client, served.order("form-3"))
    assert status == 409
    known = facts["first_order"]
    assert (known["content"], known["status"]) == ("AAPL buy x 1", "rejected")
    assert known["reason"] == "quantity_not_integer" and known["quantity"] == ""


def test_an_order_that_the_exchange_rejects(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is 422, and has the facts of the report beside the error."""
    line = "rejected unknown_symbol 0 - - - 0 1700000000000"

    async def submit(_desk: Desk, sent: Order, *_: object) -> Answered:
        return Answered(Report.parse(sent.order_id, line))

    monkeypatch.setattr(Desk, "submit", submit)
    with served.as_(TOKEN) as client:
        status, facts = order(client, served.order("form-4"))
    assert (status, facts["error"], facts["status"]) == (422, "rejected", "rejected")
    assert facts["reason"] == "unknown_symbol" and facts["canceled_quantity"] == "1"
    assert facts["reason_text"] in facts["message"]


def test_an_order_without_a_report(quoting: Market) -> None:
    """It is 503, and says what is down and whether the order may be executed."""
    quoting.quoted()
    with serving(quoting, order_s=0.5) as served, served.as_(TOKEN) as client:
        with quoting.without("exchange-1"):
            status, facts = order(client, served.order("form-5"))
        quoting.quoted()
    assert status == 503
    assert facts["down"] and facts["may_be_executed"] is True


def test_a_halt_that_misses_a_partition(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is 503 with the facts of what is done, and of what is not."""
    done = Controlled([ModeChange("*", "active", "halted", "halted", "", "", "")], ["AAPL-1"])
    missing = replace(done, missed=("{mm-1} was not reached: gone",))
    monkeypatch.setattr("mm.gateway.control.set_modes", lambda *_: missing)
    with served.as_("operator") as client:
        answer = client.post("/halt", json={"all": True, "why": "a test"})
    assert answer.status_code == 503
    facts = checked(answer, "post", "/halt")
    assert facts["missed"] == list(missing.missed) and facts["quotes_withdrawn"] == ["AAPL-1"]
    assert facts["changes"][0]["symbol"] == "*"


def test_what_is_read_while_the_server_hangs(quoting: Market) -> None:
    """Every request that reads is 503, and says what is down."""
    quoting.quoted()
    with (
        serving(quoting) as served,
        served.as_("operator") as client,
        quoting.frozen_server(),
    ):
        answer = client.get("/api/positions")
    assert answer.status_code == 503
    assert checked(answer, "get", "/api/positions")["down"]


JSON_BODY = {"Content-Type": "application/json"}
#: Method, path, and what is sent -> the status of the answer, with the word of its error.
ERRORS: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("POST", "/orders", {"content": b"{", "headers": JSON_BODY}, 400, "bad_json"),
    ("POST", "/orders", {"content": b"{}"}, 415, "bad_content_type"),
    ("POST", "/halt", {"content": b" " * 17_000, "headers": JSON_BODY}, 413, "too_large"),
    ("POST", "/halt", {"json": {"all": 1, "why": "x"}}, 422, "bad_value"),
    ("POST", "/orders", {"json": {}}, 422, "bad_value"),
    ("POST", "/orders", {"json": {}, "headers": {"Authorization": "x"}}, 401, "unauthorized"),
    ("POST", "/session", {"json": {"token": "x"}}, 403, "forbidden"),
    ("GET", "/api/fills", {"params": {"limit": "0"}}, 422, "bad_value"),
    ("GET", "/api/status", {"params": {"x": "1"}}, 422, "bad_value"),
    ("GET", "/orders/reports", {"params": {"x": "1"}}, 422, "bad_value"),
    ("GET", "/api/live", {"params": {"symbol": "NOPE"}}, 404, "not_found"),
]


@pytest.mark.parametrize(("method", "path", "sent", "status", "word"), ERRORS, ids=str)
def test_an_error_of_an_operation(
    served: Served, method: str, path: str, sent: dict[str, Any], status: int, word: str
) -> None:
    """Its status is described, with the form that it has."""
    with served.as_("operator") as client:
        answer = client.request(method, path, **sent)
    assert (answer.status_code, answer.json()["error"]) == (status, word)
    checked(answer, method.lower(), path)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("POST", "/api/nothing", 404),
        ("GET", "/static/nothing", 404),
        ("GET", "/orders", 405),
        ("DELETE", "/halt", 405),
        ("POST", "/api/status", 405),
        ("PUT", "/", 405),
        ("OPTIONS", "/orders", 405),
        ("BREW", "/orders", 405),
    ],
)
def test_an_error_of_no_operation(served: Served, method: str, path: str, status: int) -> None:
    """A path or a method that there is not is answered in the same form."""
    with served.as_("operator") as client:
        answer = client.request(method, path)
    assert answer.status_code == status
    assert checked(answer)["error"] == {404: "not_found", 405: "method_not_allowed"}[status]
    assert ("allow" in answer.headers) is (status == 405)


def test_the_head_alone(served: Served) -> None:
    """HEAD has the status and headers of GET and no content, for an error too."""
    for name, path in (("viewer", "/api/exposure"), ("", "/api/exposure"), ("viewer", "/orders")):
        with served.as_(name) as client:
            head, whole = client.head(path), client.get(path)
        assert (head.status_code, head.content) == (whole.status_code, b"")
        assert head.headers["content-type"] == whole.headers["content-type"]


def test_numbers_are_numbers_or_text(served: Served) -> None:
    """Quantity and price may be either, as the description says."""
    served.market.quoted()
    body = DESCRIBED["paths"]["/orders"]["post"]["requestBody"]["content"]["application/json"]
    numbers = {"quantity": 1, "limit_price": 250.0}
    with served.as_(TOKEN) as client:
        for number, changes in enumerate(({}, numbers)):
            sent = served.order(f"form-6-{number}", **changes)
            jsonschema_rs.validate(body["schema"], sent)
            assert client.post("/orders", json=sent).status_code == 200
