"""The fake server runs scripts as a server does, though it compiles each one only once."""

from __future__ import annotations

import pytest
from redis.exceptions import ResponseError

from mm.store import execute
from tests.kit import Fake

SCRIPT = "redis.call('SET', KEYS[1], ARGV[1]) return {KEYS[1], ARGV[1], #ARGV}"


def test_each_call_has_its_own_keys_and_arguments(fake: Fake) -> None:
    """The same script gets what each call names, from any client."""
    for client in (fake.client(), fake.client()):
        for number in ("1", "2"):
            found = execute(client, "EVAL", SCRIPT, 1, f"k{number}", number, "more")
            assert found == [f"k{number}".encode(), number.encode(), 2]
    assert sorted(fake.client().keys()) == [b"k1", b"k2"]


@pytest.mark.parametrize(
    "script",
    ["leaked = 1 return 1", "leaked = 1 redis.call('SET', 'written', '1') return 1"],
)
def test_a_global_is_refused_every_time(fake: Fake, script: str) -> None:
    """A script that sets a global fails, before it writes; and so does its next call."""
    client = fake.client()
    for _ in range(2):
        with pytest.raises(ResponseError, match="leaked"):
            execute(client, "EVAL", script, 0)
    assert client.keys() == []
    assert execute(client, "EVAL", "return 7", 0) == 7


def test_an_error_of_a_script_names_it(fake: Fake) -> None:
    """What a script raises comes to its caller, each time."""
    client = fake.client()
    for _ in range(2):
        with pytest.raises(ResponseError, match="a reason"):
            execute(client, "EVAL", "return redis.error_reply('CODE a reason')", 0)
        with pytest.raises(ResponseError):
            execute(client, "EVAL", "return no_such + 1", 0)
