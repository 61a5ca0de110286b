"""Who may do what: tokens, roles, the page's session, and requests of other pages."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from mm.gateway.access import Access
from mm.gateway.operations import OPERATIONS, Operation
from tests.gateway.served import CLIENT, Served

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("gateway")]

#: Role -> the file of its token.
FILES = {"viewer": "viewer", "client": f"client-{CLIENT}", "operator": "operator"}
GUARDED = [one for one in OPERATIONS if one.roles]
BAD = [
    "",
    "Bearer",
    "Bearer x",
    "Basic {token}",
    "{token}",
    "Bearer {token}0",
    "Bearer é",
]


def name_of(one: Operation) -> str:
    """A name of an operation for people."""
    return f"{one.method} {one.path}"


def ask(client: httpx.Client, one: Operation, **more: Any) -> httpx.Response:
    """The head of an answer to the operation, whose body may not end."""
    body: dict[str, Any] = {} if one.body is None else {"json": {"rubbish": 1}}
    path = one.path.replace("{symbol}", "AAPL")
    with client.stream(one.method, path, **body, **more) as answer:
        if one.answer is not None or answer.status_code != 200:
            answer.read()
        return answer


@pytest.mark.parametrize("one", GUARDED, ids=name_of)
def test_each_role_may_do_what_its_table_says(served: Served, one: Operation) -> None:
    """Each operation refuses each other role (403), and nobody is known without a token (401)."""
    with served.as_() as client:
        answer = ask(client, one)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    for role, name in FILES.items():
        with served.as_(name) as client:
            status = ask(client, one).status_code
            assert (status == 403) is (role not in one.roles), (role, status)


@pytest.mark.parametrize("words", BAD)
def test_a_bad_token_is_not_known(served: Served, words: str) -> None:
    """What is not exactly a token is refused, with a cookie beside it, too."""
    given = words.format(token=served.token("viewer")).encode()
    with begun(served, "viewer") as client:
        answer = client.get("/api/status", headers={b"Authorization": given})
    assert answer.status_code == 401
    assert answer.json()["error"] == "unauthorized"


def test_every_token_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is given, each token is compared, and by a comparison that takes the same time."""
    access = Access({"viewer": "a" * 64, "operator": "b" * 64, "client-c": "c" * 64}, 1)
    compared: list[bytes] = []
    real = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return real(one, other)

    monkeypatch.setattr("mm.gateway.access.hmac.compare_digest", compare)
    for given in ("a" * 64, "c" * 64, "", "x"):
        compared.clear()
        access.of_token(given)
        assert len(set(compared)) == 3


def test_tokens_are_secret(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """Only the owner may read the files of the tokens, and no log has one."""
    directory = served.market.path / "tokens"
    assert directory.stat().st_mode & 0o777 == 0o700
    tokens = [path.read_text().strip() for path in directory.iterdir()]
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}
    with caplog.at_level(logging.DEBUG):
        for name in FILES.values():
            with served.as_(name) as client:
                client.get("/api/status?x=1")
        with served.as_() as client:
            client.post("/session", json={"token": tokens[0]}, headers=own(served))
    files = (served.market.path / "logs").glob("*")
    logs = "".join(path.read_text(errors="replace") for path in files)
    for token in tokens:
        assert token not in logs
        assert not [one for one in caplog.messages if token in one and "uvicorn" in one]


# --- the page's session


def own(served: Served) -> dict[str, str]:
    """The headers that a browser sends for the page of this server."""
    return {"Origin": served.url, "Sec-Fetch-Site": "same-origin"}


@contextmanager
def begun(served: Served, name: str) -> Iterator[httpx.Client]:
    """A browser with a session of the token, whose page knows the session's word."""
    with served.as_() as client:
        answer = client.post("/session", json={"token": served.token(name)}, headers=own(served))
        assert answer.status_code == 200, answer.text
        client.headers["X-Session-Token"] = answer.json()["session"]
        yield client


def test_a_cookie_is_only_for_this_page(served: Served) -> None:
    """The cookie is not for scripts and not for other sites, and has no token in it."""
    with begun(served, "viewer") as client:
        answer = client.post(
            "/session", json={"token": served.token("viewer")}, headers=own(served)
        )
        words = answer.headers["set-cookie"]
        assert "HttpOnly" in words and "SameSite=strict" in words
        assert served.token("viewer") not in words
        client.headers["X-Session-Token"] = answer.json()["session"]
        assert client.get("/api/status").status_code == 200
        assert client.get("/session").json()["role"] == "viewer"
        assert client.delete("/session", headers=own(served)).status_code == 200
        assert client.get("/api/status").status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": "http://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "{own}", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "{own}", "X-Session-Token": "guessed"}, 403),
        ({"Origin": "{own}", "X-Session-Token": ""}, 403),
        ({"Origin": "{own}"}, 422),
    ],
)
def test_another_page_changes_nothing(served: Served, headers: dict[str, str], status: int) -> None:
    """A request that changes something must come from this page and know its session's word."""
    with begun(served, "operator") as client:
        sent = {name: value.replace("{own}", served.url) for name, value in headers.items()}
        answer = client.post("/halt", json={"all": True, "why": " "}, headers=sent)
    assert answer.status_code == status, answer.text


def test_another_page_begins_no_session(served: Served) -> None:
    """A session is begun by the page of this server alone, and not with a client's token."""
    body = {"token": served.token("viewer")}
    with served.as_() as client:
        assert client.post("/session", json=body).status_code == 403
        elsewhere = {"Origin": "http://elsewhere.example"}
        assert client.post("/session", json=body, headers=elsewhere).status_code == 403
        wrong = client.post("/session", json={"token": "x"}, headers=own(served))
        assert wrong.status_code == 401
        body = {"token": served.token(f"client-{CLIENT}")}
        assert client.post("/session", json=body, headers=own(served)).status_code == 403
        assert not client.cookies


def test_a_changed_cookie_is_no_session(served: Served) -> None:
    """A viewer cannot make an operator's session of its own, nor one of another server's token."""
    with begun(served, "viewer") as client:
        (name,) = client.cookies.keys()
        good = client.cookies[name]
        role, nonce, signature = good.split(".")
        for bad in (
            f"operator.{nonce}.{signature}",
            f"{role}.{nonce}0.{signature}",
            f"{role}.{nonce}.{signature[:-1]}",
            f"{role}.{nonce}",
            "..",
            "",
        ):
            client.cookies.clear()
            client.cookies.set(name, bad)
            assert client.get("/api/status").status_code == 401, bad


def test_the_cookie_is_secure_where_the_page_came_by_https(served: Served) -> None:
    """Behind a proxy with TLS this server speaks plain HTTP: the page's own scheme counts."""
    with served.as_() as client:
        for scheme in ("http", "https"):
            origin = served.url.replace("http", scheme, 1)
            body = {"token": served.token("viewer")}
            answer = client.post("/session", json=body, headers={"Origin": origin})
            assert answer.status_code == 200, answer.text
            assert ("Secure" in answer.headers["set-cookie"]) is (scheme == "https")


def test_a_proxy_that_hides_the_host_is_named(served: Served) -> None:
    """Behind a proxy that does not pass Host on nobody can sign in; the words say why."""
    with served.as_() as client:
        headers = {"Origin": "https://desk.example", "Host": "127.0.0.1"}
        answer = client.post("/session", json={"token": "x"}, headers=headers)
    assert answer.status_code == 403 and "header Host" in answer.json()["message"]


@pytest.mark.parametrize(
    "path", ["/", "/static/page.js", "/api/status", "/nothing", "/openapi.json"]
)
def test_every_answer_has_the_headers(served: Served, path: str) -> None:
    """No answer may be framed or sniffed, nor say where it was linked from, errors neither."""
    with served.as_() as client:
        headers = client.get(path).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "unsafe-inline" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert "server" not in headers
