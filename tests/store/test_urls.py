"""A server's URL: what is refused, and that no form of it ever shows its password."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from mm.errors import ValueRefused
from mm.orders import OrderClient
from mm.store import open_client, safe_url

#: Pieces of the password in each URL below: none of them may be shown.
PIECES = ("s3cr", "t0p", "wd9")
SECRET = [
    "redis://:s3cr@ss:t0p/rd#%@localhost:6379/0",
    "redis://:s3cr/t0p@localhost:6379/0",
    "redis://user:12/s3cr@localhost/0",
    "redis://:s3cr?t0p@localhost/0",
    "redis://:s3cr#t0p@localhost/0",
    "redis://:s3cr:t0p@localhost/abc",
    "redis://:s3cr%40t0p@localhost/abc",
    "redis://s3cr:t0p@[::1/0",
    "redis://:s3cr",
    "redis://h:1/0?password=s3cr&nonsense=t0p",
    "redis://h:1/0?password=s3cr@t0p&x=1",
    "unix://:s3cr@/tmp/x.sock?db=t",
    "unix://:s3cr/t0p@/tmp/x.sock",
    "redis:/:s3cr@h/0",
    ":s3cr@localhost:6379",
    "rediss://:s3cr%@h/0",
    "redis://h/0?ssl_cert_reqs=none&password=s3cr",
    "http://:s3cr@h/0",
    "redis+cluster://u:s3cr@h:1,h:x",
    "redis+cluster://u:s3cr/t0p@h:1,h:2",
    "redis+cluster://u:s3cr#t0p@h:1,h:2",
    "redis+cluster://u:s3cr?t0p@h:1",
    "redis+sentinel://u:s3cr@h:1,h:2",
    "redis+sentinel://u:s3cr@h:1/a@t0p",
    "redis+other://u:s3cr@h:1",
    "unix+cluster://u:s3cr@/tmp/x.sock",
]


def show_no_secret(text: str) -> None:
    """Fail when a piece of a password stands in the text."""
    assert not [piece for piece in PIECES if piece in text], text


@pytest.mark.parametrize("url", SECRET)
def test_a_refused_url_keeps_its_password(url: str) -> None:
    """The message shows no piece of the password, says how to write one, and has no cause."""
    show_no_secret(safe_url(url))
    with pytest.raises(ValueRefused) as refused:
        open_client(url)
    show_no_secret(str(refused.value))
    assert "percent-encoded" in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_place_that_is_no_url_keeps_its_password() -> None:
    """The order API refuses a URL without its scheme, and does not show it."""
    with pytest.raises(ValueRefused) as refused:
        OrderClient.connect(":s3cr@localhost:6379", "c1")
    show_no_secret(str(refused.value))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/3", "redis://localhost:6379/3"),
        ("redis://bob:s3cr@localhost:6379/3", "redis://***@localhost:6379/3"),
        ("redis://:s3cr@t0p@h/0", "redis://***@h/0"),
        ("rediss://h?password=s3cr&db=2", "rediss://h"),
        ("unix:///tmp/a@b/redis.sock?password=s3cr", "unix:///tmp/a@b/redis.sock"),
        ("unix:///tmp/a%20b/redis.sock", "unix:///tmp/a b/redis.sock"),
        ("redis://localhost:s3cr/0", "redis://***"),
        ("nowhere", "nowhere"),
        ("redis+cluster://bob:s3cr@h:1,i:2", "redis+cluster://***@h:1,i:2"),
        ("rediss+cluster://h:1?ssl_ca_certs=/a", "rediss+cluster://h:1"),
        ("redis+sentinel://h:1,i:2/main?sentinel_password=s3cr", "redis+sentinel://h:1,i:2/main"),
    ],
)
def test_a_url_is_shown_without_user_and_settings(url: str, shown: str) -> None:
    """Host, port, database or path stay readable; what may be a secret is replaced."""
    assert safe_url(url) == shown


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("redis://h/abc", "database must be a number"),
        ("redis://h/1/2", "database must be a number"),
        ("redis://h/-1", "database must be a number"),
        ("redis://h?db=abc", "database must be a number"),
        ("redis://h?db=", "database must be a number"),
        ("redis://h/1?db=2", "database twice"),
        ("redis://h?db=1&db=2", "twice"),
        ("unix://tmp/x.sock", "absolute"),
        ("unix://", "absolute"),
        ("redis://h?retry_on_timeout=1", "only these settings"),
        ("rediss://h?ssl_cert_reqs=sometimes", "value of a setting"),
        ("redis://:50%@h", "%25"),
        ("redis://h:port/0", "cannot be read"),
        ("http://h/0", "cannot be read"),
        ("redis+cluster://h:1/2", "database 0 alone"),
        ("redis+cluster://h:1?db=3", "database 0 alone"),
        ("redis+cluster://h:1,,i:2", "HOST:PORT"),
        ("redis+cluster://h:1?sentinel_password=x", "is for Sentinels"),
        ("redis+cluster://h:1?retry=1", "only these settings"),
        ("redis+sentinel://h:1", "name of the service"),
        ("redis+sentinel://h:1/a/b", "name of the service"),
        ("redis+sentinel://h:1/main?db=x", "database must be a number"),
    ],
)
def test_a_url_that_means_something_else_is_refused(url: str, why: str) -> None:
    """No URL silently means another database or another socket than it seems to name."""
    with pytest.raises(ValueRefused, match=why):
        open_client(url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h", {"host": "h", "db": 0}),
        ("redis://h/", {"host": "h"}),
        ("redis://h:1/12", {"port": 1, "db": 12}),
        ("redis://bob:p%40s%3As@h/2", {"username": "bob", "password": "p@s:s", "db": 2}),
        ("unix:///tmp/x.sock?db=3&password=p", {"path": "/tmp/x.sock", "db": 3, "password": "p"}),
        ("unix://bob:p@/tmp/x.sock", {"path": "/tmp/x.sock", "username": "bob"}),
    ],
)
def test_a_good_url_is_taken_as_it_says(url: str, expected: dict[str, object]) -> None:
    """The parts of a good URL reach the client."""
    arguments = open_client(url).connection_pool.connection_kwargs
    assert expected.items() <= {"db": 0, **arguments}.items()


def nodes_of(url: str) -> dict[str, Any]:
    """The settings of the connections that a URL of several servers makes."""
    settings: dict[str, Any] = open_client(url, tag="{mm-1}").connection_pool.connection_kwargs
    return settings


def test_a_cluster_is_asked_at_each_of_its_nodes() -> None:
    """Each host of the URL is asked with the login and the settings of TLS that it gives."""
    found = nodes_of("rediss+cluster://bob:p%40s@h:1,i:2,j?ssl_ca_certs=/ca")
    assert (found["username"], found["password"], found["tag"]) == ("bob", "p@s", "{mm-1}")
    nodes = found["nodes"]
    assert nodes._known == [("h", 1), ("i", 2), ("j", 6379)]
    assert nodes._class is redis.SSLConnection
    assert nodes._settings == {"username": "bob", "password": "p@s", "ssl_ca_certs": "/ca"}


def test_sentinels_have_a_login_of_their_own() -> None:
    """The login of the URL is that of the servers; a Sentinel's is named."""
    found = nodes_of("redis+sentinel://bob:p@h:1,i:2/main?db=3&sentinel_password=q")
    assert (found["username"], found["db"]) == ("bob", 3)
    nodes = found["nodes"]
    assert (nodes._seeds, nodes._service) == ([("h", 1), ("i", 2)], "main")
    assert nodes._settings == {"password": "q"}
