"""The reading requests: the facts of the commands' ``--json``, as the description says."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import jsonschema_rs
import pytest

from mm.gateway.openapi import openapi_document
from mm.gateway.operations import OPERATIONS
from tests.gateway.served import CLIENT, Served
from tests.kit.commands import MM

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("gateway")]

#: Path -> the command that prints the same.
SAME = {
    "/api/status": ("status",),
    "/api/positions": ("positions",),
    "/api/quotes": ("quotes",),
    "/api/exposure": ("exposure",),
    "/api/fills": ("fills",),
    "/api/profit": ("pnl",),
    "/api/profit?by=hour,currency&since=1h&until=0s": ("pnl", "--by", "hour,currency"),
    "/api/audit": ("audit",),
    "/api/explain/AAPL?last=20": ("explain", "AAPL", "--last", "20"),
}


@pytest.fixture(scope="module", autouse=True)
def _traded(served: Served) -> None:
    """Some fills, on both sides."""
    for number, side in enumerate(("buy", "sell", "buy")):
        served.market.quoted()
        price = "250.00" if side == "buy" else "1.00"
        with served.as_(f"client-{CLIENT}") as client:
            body = served.order(f"read-{number}", side=side, limit_price=price)
            assert client.post("/orders", json=body).status_code == 200


def names(value: Any) -> Any:
    """The names in a JSON value, without what stands under them; of a list all that occur."""
    if isinstance(value, dict):
        return {name: names(one) for name, one in value.items() if name != "checked"}
    if isinstance(value, list):
        found: dict[str, Any] = {}
        for one in value:
            if isinstance(one, dict):
                found |= {name: type(inner).__name__ == "dict" for name, inner in one.items()}
        return found
    return None


@pytest.mark.parametrize("path", SAME)
def test_the_names_are_those_of_the_command(served: Served, path: str) -> None:
    """Each answer has exactly the names that the command prints, at every depth."""
    with served.as_("viewer") as client:
        answer = client.get(path)
    assert answer.status_code == 200, answer.text
    words = [*MM, *SAME[path], "--json", "--data-dir", str(served.market.path)]
    printed = subprocess.run(words, capture_output=True, text=True, check=True)
    expected = json.loads(printed.stdout)
    found = answer.json()
    for one in (expected, found):
        if isinstance(one, dict):
            for varying in ("streams", "now", "modes"):
                one.pop(varying, None)
    assert names(found) == names(expected)


@pytest.mark.parametrize("path", SAME)
def test_each_answer_is_as_described(served: Served, path: str) -> None:
    """Each answer fits its schema, which names all that there is and nothing else."""
    with served.as_("viewer") as client:
        found = client.get(path).json()
    plain = path.partition("?")[0].replace("AAPL", "{symbol}")
    (one,) = [each for each in OPERATIONS if each.path == plain]
    jsonschema_rs.validator_for(one.answer or {}).validate(found)
    assert found, "an empty answer shows nothing"


def test_the_description_is_served(served: Served) -> None:
    """/openapi.json is what the code says now; nobody needs a token for it."""
    with served.as_() as client:
        answer = client.get("/openapi.json")
    assert answer.json() == openapi_document()


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/api/fills?limit=0", 422, "limit '0'"),
        ("/api/fills?limit=99999999999999", 422, "limit"),
        ("/api/fills?limit=²", 422, "limit"),
        ("/api/fills?since=yesterday", 422, "since"),
        ("/api/fills?since=1s&until=5s", 422, "later"),
        ("/api/fills?symbol=NOPE", 422, "NOPE"),
        ("/api/fills?symbol=a%00b", 422, "symbol"),
        ("/api/fills?limit=1&limit=2", 422, "2 times"),
        ("/api/status?x=1", 422, "'x'"),
        ("/api/profit?by=week", 422, "week"),
        ("/api/explain/NOPE", 404, "NOPE"),
        ("/api/explain/AAPL?fill=AAPL-99999", 404, "AAPL-99999"),
        ("/api/explain/AAPL?fill=MSFT-1", 422, "MSFT"),
        ("/api/explain/AAPL?order=x", 422, "CLIENT/ID"),
        ("/api/explain/AAPL?order=x/y", 404, "not remembered"),
        ("/api/explain/AAPL?order=x/y&since=1s", 422, "one of them"),
        ("/api/live?symbol=NOPE", 404, "NOPE"),
        ("/orders/reports?client_id=a%20b", 422, "client_id"),
        ("/orders/reports", 422, "client_id"),
        ("/api/", 404, "nothing"),
        ("/static/../app.py", 404, "nothing"),
        ("/static/%2e%2e%2fapp.py", 404, "nothing"),
    ],
)
def test_a_bad_parameter_is_named(served: Served, path: str, status: int, words: str) -> None:
    """What is asked for wrongly is an answer in words that name it."""
    with served.as_("viewer") as client:
        answer = client.get(path)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["message"]


def test_other_methods_are_405(served: Served) -> None:
    """A path says which methods it takes."""
    with served.as_("viewer") as client:
        answer = client.put("/orders")
        assert answer.status_code == 405 and answer.json()["error"] == "method_not_allowed"
        assert answer.headers["allow"] == "POST"
        assert client.head("/api/status").status_code == 200


def test_fills_are_the_newest_ones(served: Served) -> None:
    """A limit leaves the newest fills, oldest first."""
    with served.as_("viewer") as client:
        every = client.get("/api/fills").json()
        assert client.get("/api/fills?limit=2").json() == every[-2:]


@pytest.mark.parametrize("given", [{"symbols": ["AAPL", "MSFT"]}, {"all": True}])
def test_halt_and_resume(served: Served, given: dict[str, Any]) -> None:
    """An operator halts and resumes, with a reason; who and why are kept."""
    with served.as_("operator") as client:
        done = client.post("/halt", json={**given, "who": "anna", "why": "news"})
        assert done.status_code == 200, done.text
        (schema,) = [one.answer for one in OPERATIONS if one.path == "/halt"]
        jsonschema_rs.validator_for(schema or {}).validate(done.json())
        modes = client.get("/api/status").json()["modes"]
        named = given.get("symbols", ["*"])
        assert {one["symbol"] for one in modes} == set(named)
        assert {(one["who"], one["why"], one["mode"]) for one in modes} == {
            ("anna", "news", "halted")
        }
        body = served.order("halted-1", client_id=CLIENT)
        assert client.post("/orders", json=body | {"order_id": f"halted-{len(named)}"}).json()[
            "reason"
        ] in ("halted", "no_quote")
        assert client.post("/resume", json={**given, "why": "over"}).status_code == 200
        assert client.get("/api/status").json()["modes"] == []


@pytest.mark.parametrize(
    "given",
    [
        {}, {"why": "x"}, {"why": "", "all": True}, {"why": " ", "all": True},
        {"why": "x" * 201, "all": True}, {"why": "a\nb", "all": True}, {"why": "x", "all": 1},
        {"why": "x", "all": True, "symbols": ["AAPL"]}, {"why": "x", "symbols": ["NOPE"]},
        {"why": "x", "symbols": "AAPL"}, {"why": "x", "symbols": [1]}, {"why": 5, "all": True},
        {"why": "x", "all": True, "who": "a b"}, {"why": "x", "symbols": ["AAPL"] * 300},
    ],
    ids=str,
)  # fmt: skip
def test_a_bad_halt_changes_nothing(served: Served, given: dict[str, Any]) -> None:
    """A halt without a reason, or of nothing that is known, is refused."""
    with served.as_("operator") as client:
        answer = client.post("/halt", json=given)
        assert answer.status_code == 422, answer.text
        assert client.get("/api/status").json()["modes"] == []
