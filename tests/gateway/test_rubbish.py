"""Rubbish in headers, paths and texts: each is an answer in words, and never a fault."""

from __future__ import annotations

import logging

import pytest

from tests.gateway.served import CLIENT, Served

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("gateway")]

TOKEN = f"client-{CLIENT}"
#: Half characters, which JSON can name and no text can hold.
HALVES = ("\\ud800", "\\udc80", "\\udfff")
BAD_HOST = {"Host": "[::1"}
ORDER = (
    '{"order_id": "%s", "symbol": "%s", "side": "%s", "quantity": "%s", "limit_price": "%s",'
    ' "client_id": "%s"}'
)
GOOD = ("o1", "AAPL", "buy", "1", "250.00", CLIENT)


def ask(
    served: Served,
    line: str,
    status: int,
    name: str = "",
    headers: dict[str, str] | None = None,
    body: str = "",
) -> str:
    """The text of an answer, which has this status. ``{own}`` in a header is the server itself."""
    method, path = line.split()
    given = {
        one.encode(): value.replace("{own}", served.url).encode("latin-1")
        for one, value in (headers or {}).items()
    }
    if body:
        given[b"Content-Type"] = b"application/json"
    with served.as_(name) as client:
        answer = client.request(method, path, headers=given, content=body.encode())
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert "location" not in answer.headers
    return str(answer.json()["message"])


@pytest.mark.parametrize("origin", ["http://[::1", "http://", "", "[", "http://\xff", "null"])
def test_an_origin_that_is_no_address(served: Served, origin: str) -> None:
    """It is another page's."""
    ask(served, "POST /session", 403, "", {"Origin": origin}, '{"token": "x"}')


@pytest.mark.parametrize("half", HALVES)
def test_half_characters(served: Served, half: str, caplog: pytest.LogCaptureFixture) -> None:
    """Texts that cannot be written in UTF-8 are refused by their rules, or are not known."""
    own = {"Origin": "{own}"}
    ask(served, "POST /session", 401, "", own, f'{{"token": "{half}"}}')
    ask(served, "POST /session", 422, "", own, f'{{"{half}": 1}}')
    for place in range(len(GOOD)):
        body = ORDER % tuple(half if at == place else word for at, word in enumerate(GOOD))
        ask(served, "POST /orders", 422, "operator", None, body)
    ask(served, "POST /orders", 403, TOKEN, None, ORDER % (*GOOD[:5], half))
    for body in (
        f'{{"all": true, "why": "{half}"}}',
        f'{{"all": true, "why": "x", "who": "{half}"}}',
        f'{{"symbols": ["{half}"], "why": "x"}}',
    ):
        ask(served, "POST /halt", 422, "operator", None, body)
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]


@pytest.mark.parametrize("symbol", ["%ff", "%ED%A0%80", "%00", "%0a", "%5B::1"])
def test_a_symbol_of_odd_bytes(served: Served, symbol: str) -> None:
    """In a path and in a query it is one that this system does not have."""
    ask(served, f"GET /api/explain/{symbol}", 404, "viewer")
    ask(served, f"GET /api/live?symbol={symbol}", 404, "viewer")
    ask(served, f"GET /static/{symbol}", 404)


@pytest.mark.parametrize("word", ["\xff", "\xb2-0", "0-\xb2", "", "-", "1-1,2-2", "9" * 400])
def test_headers_of_odd_bytes(served: Served, word: str) -> None:
    """An id of no event, a token and a cookie that are not known."""
    ask(served, "GET /orders/reports", 400, TOKEN, {"Last-Event-ID": word})
    ask(served, "GET /api/status", 401, "", {"Authorization": f"Bearer {word}".strip()})
    for cookie in (word, f"viewer.{word}.{word}", '"\\777"', '"\\377"'):
        ask(served, "GET /api/status", 401, "", {"Cookie": f"mm_session_{served.port}={cookie}"})


@pytest.mark.parametrize("host", ["[::1", "", "a/halt?", "\xff", "elsewhere.example"])
def test_a_host_of_rubbish(served: Served, host: str) -> None:
    """What the header says decides nothing where no page asks."""
    body = '{"all": true, "why": " "}'
    ask(served, "POST /halt", 422, "operator", {"Host": host}, body)
    ask(served, "POST /session", 403, "", {"Origin": "{own}", "Host": host}, '{"token": "x"}')
    ask(served, "GET /nothing", 404, "", {"Host": host})
    with served.as_("viewer") as client:
        answer = client.get("/api/status", headers={b"Host": host.encode("latin-1")})
        assert answer.status_code == 200


def test_a_slash_behind_a_path_is_another_path(served: Served) -> None:
    """Nobody is sent elsewhere, least of all where a Host header says."""
    for path in ("/metrics/", "/api/status/", "/orders/"):
        ask(served, f"GET {path}", 404, "operator", {"Host": "elsewhere.example"})


WORDS = [
    ("5", "order_id 5: it must be a text"),
    ("1e5", "order_id 1e5: it must be a text"),
    ("null", "order_id null: it must be a text"),
    ("true", "order_id true: it must be a text"),
    ('["a"]', "order_id (a list): it must be a text"),
    ("{}", "order_id (an object): it must be a text"),
]


@pytest.mark.parametrize(("value", "words"), WORDS)
def test_a_value_is_named_as_it_was_written(served: Served, value: str, words: str) -> None:
    """A wrong value of a body is shown as JSON spells it; a decimal may be a number, too."""
    body = (ORDER % GOOD).replace('"o1"', value)
    assert ask(served, "POST /orders", 422, "operator", None, body) == words
    if value[0] not in "15":
        body = (ORDER % GOOD).replace('"1"', value)
        found = ask(served, "POST /orders", 422, "operator", None, body)
        assert found == words.replace("order_id", "quantity") + " or a number"
    body = f'{{"all": {value}, "why": "x"}}'
    if value != "true":
        found = ask(served, "POST /halt", 422, "operator", None, body)
        assert found.startswith(f"all {words[9:].partition(':')[0]}: it must be true or false")


def test_a_long_value_is_cut(served: Served) -> None:
    """A number of thousands of digits, and a list that is nested hundreds of times."""
    for value in ("1" * 9_000, "[" * 900 + "]" * 900):
        body = (ORDER % GOOD).replace('"o1"', value)
        assert len(ask(served, "POST /orders", 422, "operator", None, body)) < 300


def test_what_is_not_known_is_named_in_a_sentence(served: Served) -> None:
    """Names, and the type of the content."""
    found = ask(served, "POST /session", 422, "", {"Origin": "{own}"}, '{"tokens": "x"}')
    assert found == "the name 'tokens' is not known: it must be one of token"
    found = ask(served, "GET /api/status?x=1", 422, "viewer")
    assert found == "the name 'x' is not known: none may be given"
    found = ask(served, "POST /orders", 415, TOKEN, {"Content-Type": "text/plain"})
    assert found == "content type 'text/plain': it must be application/json"
