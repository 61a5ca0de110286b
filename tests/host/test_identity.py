"""Which system a data directory belongs to: made once, remembered, and never exchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

from mm.errors import ForeignSystem, SystemRefused, Unavailable
from mm.host import DataDir, System, known_system_id, open_system
from mm.host.identity import IdentityWatch
from mm.store import (
    Identity,
    Joined,
    Keys,
    Scripts,
    create_system,
    execute,
    join_system,
    open_client,
)
from tests.kit import Real, small_config


class Place:
    """A data directory and an empty server."""

    def __init__(self, backend: Real, path: Path) -> None:
        self.directory = DataDir(path)
        self.scripts = Scripts(backend.client(), Keys())

    def open(self) -> Joined:
        """What `mm up` does at its start."""
        return open_system(self.directory, self.scripts, small_config())

    def known(self) -> str | None:
        """The system that the directory belongs to."""
        return known_system_id(self.directory, self.scripts.keys)


@pytest.fixture
def place(real_backend: Real, tmp_path: Path) -> Place:
    """A data directory that knows no system, and an empty server."""
    return Place(real_backend, tmp_path)


@pytest.mark.server
class TestOpening:
    def test_who_may_make_a_system(self, place: Place) -> None:
        """A system is made only where neither knows one; then both know it, and it is joined."""
        made = place.open()
        assert made.how == "created"
        assert place.known() == made.identity.system_id
        again = place.open()
        assert (again.how, again.identity) == ("joined", made.identity)

    def test_the_server_knows_one(self, place: Place) -> None:
        """A directory without a system joins that of the server, and then belongs to it."""
        identity = create_system(place.scripts, small_config()).identity
        assert place.open().identity == identity
        assert place.known() == identity.system_id

    def test_the_server_lost_it(self, place: Place) -> None:
        """A directory's system that the server no longer holds is not made anew."""
        known = place.open().identity.system_id
        place.scripts.client.flushall()
        with pytest.raises(ForeignSystem, match="holds no system") as caught:
            place.open()
        said = str(caught.value)
        assert f"data directory {place.directory.path} belongs to system {known}" in said
        assert "Nothing was set up anew" in said
        assert execute(place.scripts.client, "DBSIZE") == 0
        assert place.known() == known

    def test_the_server_holds_another(self, place: Place) -> None:
        """A directory of one system refuses the server of another one, and changes neither."""
        known = place.open().identity.system_id
        place.scripts.client.flushall()
        other = create_system(place.scripts, small_config()).identity
        with pytest.raises(ForeignSystem, match=f"holds system {other.system_id}"):
            place.open()
        assert place.known() == known
        assert join_system(place.scripts).identity == other

    def test_a_system_for_each_prefix(self, place: Place) -> None:
        """Systems under two prefixes share a server and a directory, each with an id of its own."""
        first = place.open().identity.system_id
        place.scripts = Scripts(place.scripts.client, Keys("{other}"))
        second = place.open().identity.system_id
        assert first != second
        assert (place.open().identity.system_id, place.known()) == (second, second)
        assert known_system_id(place.directory, Keys()) == first

    def test_readers_of_the_directory(self, place: Place, real_backend: Real) -> None:
        """Who reads a managed server must find the system of its directory there."""
        place.open()
        place.directory.socket.symlink_to(real_backend.server.socket)
        there = real_backend.server.socket.parent / "secrets"
        (place.directory.path / "secrets").symlink_to(there)
        system = System(place.directory, None, Keys(), None)
        assert execute(system.scripts().client, "DBSIZE") > 0
        place.scripts.client.flushall()
        with pytest.raises(ForeignSystem, match="holds no system"):
            system.scripts()


@pytest.mark.server
class TestWatch:
    def watch(self, place: Place) -> IdentityWatch:
        """A watch over the system of a new directory."""
        return IdentityWatch(place.scripts, place.open().identity, place.directory)

    def test_lost(self, place: Place) -> None:
        """A system that is gone is reported with what was last seen of it."""
        watch = self.watch(place)
        place.scripts.client.hset(
            place.scripts.keys.named("cursors"),
            mapping={"exchange_records": 1_234, "state_records": 56},
        )
        watch.look()
        place.scripts.client.flushall()
        with pytest.raises(ForeignSystem, match="is gone from the server") as caught:
            watch.look()
        assert "with 1,234 orders and 56 fills" in str(caught.value)
        assert "It was last seen at 20" in str(caught.value)

    def test_another(self, place: Place) -> None:
        """Another system in its place is reported too."""
        watch = self.watch(place)
        place.scripts.client.flushall()
        other = create_system(place.scripts, small_config()).identity.system_id
        with pytest.raises(ForeignSystem, match=f"holds system {other}"):
            watch.look()


def test_a_server_that_does_not_answer_is_no_loss(tmp_path: Path) -> None:
    """While no server answers, nothing is reported as lost."""
    scripts = Scripts(open_client(f"unix://{tmp_path}/none.sock"), Keys())
    IdentityWatch(scripts, Identity("0" * 16, 0), DataDir(tmp_path)).look()


@pytest.mark.parametrize("content", [b"", b"\n", b"{mm} 12", b"\xff\x00", b"{mm} " + b"g" * 16])
def test_a_garbled_file(tmp_path: Path, content: bytes) -> None:
    """A file that is empty or garbled is refused in one line that names it."""
    directory = DataDir(tmp_path)
    directory.system_id_file.write_bytes(content)
    with pytest.raises(SystemRefused, match="system-id: it must hold") as caught:
        known_system_id(directory, Keys())
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    """A directory without the file belongs to no system."""
    assert known_system_id(DataDir(tmp_path), Keys()) is None
    assert known_system_id(DataDir(tmp_path / "none"), Keys()) is None
    with pytest.raises(Unavailable):
        System(DataDir(tmp_path), None, Keys(), None).scripts()
