"""The nodes of a cluster: what one of them says of all, and which partition is where."""

from __future__ import annotations

from pathlib import Path

import pytest

from mm.host.cluster import _has_heir
from mm.host.cluster_shape import FIRST_PORT, PORTS, NodeListening, port_of, source_of
from mm.store import Keys, Node, Placement, Scripts, read_placement
from mm.store.nodes import _owner
from tests.kit import Fake

LINES = """\
07c3 127.0.0.1:30004@31004,host-4 slave e7d1 0 1426238317239 4 connected
e7d1 127.0.0.1:30001@31001 myself,master - 0 0 1 connected 0-5460 7000 [93->-292f]
292f [::1]:30003@31003 master,fail? - 0 1426238318243 3 disconnected 10923-16383
6ec2 127.0.0.1:30005@31005 master,fail - 0 0 5 disconnected
""".splitlines()
FOUND = [Node.parse(line) for line in LINES]


def test_a_line_of_the_cluster() -> None:
    """Address, state, whose replica it is, and the slots that it owns now."""
    replica, primary, suspect, dead = FOUND
    assert (replica.address, replica.primary_id, replica.slots) == ("127.0.0.1:30004", "e7d1", ())
    assert primary.slots == ((0, 5460), (7000, 7000))
    assert [slot for slot in (0, 93, 5460, 5461, 7000, 9000) if primary.has(slot)] == [
        *(0, 93, 5460, 7000)
    ]
    assert (suspect.host, suspect.port) == ("[::1]", 30003)
    assert [one.state for one in FOUND] == ["up", "up", "suspected", "failed"]
    assert dead.primary_id == ""


@pytest.mark.parametrize("line", ["", "a b c", "x 127.0.0.1@1 master - 0 0 1 connected"])
def test_rubbish_is_no_node(line: str) -> None:
    """What is no line of the reply is not taken for one."""
    with pytest.raises(ValueError):
        Node.parse(line)


def test_roles() -> None:
    """A primary and its replica have the partition; who has none is a witness."""
    replica, primary, suspect, _ = FOUND
    placement = Placement(tuple(FOUND), (primary, None), (1, 0))
    assert placement.of(primary) == placement.of(replica) == [0]
    assert [placement.role(one) for one in (primary, replica, suspect)] == [
        *("primary", "replica", "witness")
    ]
    assert _owner([Node("z", "h", 1, "up", "", ((0, 16_383),))], Keys()) is not None
    assert _owner(FOUND[:1], Keys()) is None


def test_one_server_has_no_placement(fake: Fake) -> None:
    """Where nothing can fail over there is nothing to say."""
    assert read_placement(Scripts(fake.client(), Keys()), 2) is None


class TestHeirs:
    """Who can take over from a dead primary, so that it is better not started at once."""

    three = (
        Node("a", "h", 1, "up", "", ((0, 9),)),
        Node("b", "h", 2, "up", "", ((10, 19),)),
        Node("c", "h", 3, "up", "", ((20, 29),)),
        Node("d", "h", 4, "up", "a", ()),
    )

    def test_a_replica_that_lives(self) -> None:
        """It is waited for, while a majority of primaries can elect it."""
        assert _has_heir([*self.three], 1, {2, 3, 4})
        assert not _has_heir([*self.three], 1, {2, 3})
        assert not _has_heir([*self.three], 1, {2, 4})
        assert not _has_heir([*self.three], 2, {1, 3, 4})

    def test_a_node_that_owns_nothing(self) -> None:
        """A dead replica, or a primary whose replica has taken over, is started at once."""
        taken = [Node("a", "h", 1, "failed", "", ()), *self.three[1:3]]
        taken.append(Node("d", "h", 4, "up", "", ((0, 9),)))
        assert not _has_heir(taken, 1, {2, 3, 4})
        assert not _has_heir([*self.three], 4, {1, 2, 3})


class TestListening:
    def test_behind_a_forwarded_port(self) -> None:
        """It listens on its own port, and tells the others the forwarded one, for the bus too."""
        settings = dict(NodeListening(11_000, "s").behind(12_000, source_of(4)).settings())
        assert settings["port"] == "12000" and settings["cluster-port"] == "22000"
        assert settings["cluster-announce-port"] == "11000"
        assert settings["cluster-announce-bus-port"] == "21000"
        assert settings["bind-source-addr"] == "127.0.1.5"

    def test_a_replica_that_comes_back_is_not_kept_waiting(self) -> None:
        """Its primary sends it all data at once: until then nothing is final."""
        assert dict(NodeListening(11_000, "s").settings())["repl-diskless-sync-delay"] == "0"

    def test_ports(self, tmp_path: Path) -> None:
        """They are kept, are apart, and are below those that a system gives out by itself."""
        places = [tmp_path / str(number) for number in range(3)]
        taken: set[int] = set()
        for place in places:
            place.mkdir()
            taken.add(port_of(place, taken))
        assert len(taken) == 3
        assert {port_of(place, set()) for place in places} == taken
        assert FIRST_PORT + PORTS + 10_000 <= 32_768
