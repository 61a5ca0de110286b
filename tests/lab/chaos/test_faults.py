"""What the faults of `mm chaos` do to the files of a server."""

from __future__ import annotations

import pytest

from mm.lab.chaos.faults import end_with
from tests.kit import SERVERS, binary_or_skip
from tests.kit.crash import killable_server

TORN = b"*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$4\r\nlost\r\n$1\r\n"


@SERVERS
@pytest.mark.parametrize("torn_by_the_kill", [0, 1, 700, 2010], ids="lost {}".format)
def test_a_torn_end_replaces_the_one_that_the_kill_left(server: str, torn_by_the_kill: int) -> None:
    """A kill in the middle of a write leaves half of it. The server must load what comes of it."""
    with killable_server(binary_or_skip(server)) as made:
        made.start()
        made.client().set("first", "1")
        made.client().set("second", "x" * 2000)
        made.kill()
        data = made.log.read_bytes()
        made.log.write_bytes(data[: len(data) - torn_by_the_kill])
        end_with(made.log, TORN)
        assert made.log.read_bytes().endswith(TORN)
        made.start()
        assert made.client().get("first") == b"1"
        assert made.client().exists("second") == (torn_by_the_kill == 0)
        assert not made.client().exists("lost")
