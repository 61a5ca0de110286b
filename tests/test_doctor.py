"""`mm doctor` finds what would trouble a system, says what to do, and changes nothing."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from mm import doctor
from mm.doctor import Finding, examine
from mm.host import DataDir, ManagedServer, System, ThrowawaySystem
from mm.market import default_config
from mm.store import Keys
from tests.kit.answers import assert_words, run

#: Clean of what the machine of a test may be: only these are judged.
MACHINE = ("cores", "memory", "open files", "overcommit", "huge pages", "disk")


@pytest.fixture
def resting() -> Iterator[ThrowawaySystem[ManagedServer]]:
    """A system whose server runs, and no process."""
    with ThrowawaySystem(ManagedServer) as system:
        system.start(default_config())
        yield system


def system_of(place: Path, url: str | None = None) -> System:
    """The system of a data directory, or of a URL."""
    return System(DataDir(place), url, Keys(), None)


def bad(found: list[Finding]) -> dict[str, Finding]:
    """What is not ok, apart from the machine, which is not the test's."""
    return {one.about: one for one in found if one.verdict != "ok" and one.about not in MACHINE}


@pytest.mark.server
def test_a_sound_system(resting: ThrowawaySystem[ManagedServer]) -> None:
    """Nothing of a system that runs is wrong; every line has words, in JSON and for people."""
    place = resting.data_dir.path
    before = sorted(path.relative_to(place) for path in place.rglob("*"))
    found = examine(resting_system(resting))
    assert not bad(found)
    assert {"server", "clock of the server", "clock steps", "fsync", "permissions"} <= {
        one.about for one in found
    }
    assert sorted(path.relative_to(place) for path in place.rglob("*")) == before
    answer = run("doctor", "--data-dir", str(place))
    assert_words(answer, 0)
    lines = answer.out.decode().splitlines()
    assert sum(line.startswith(("ok ", "look ")) for line in lines) == len(found)
    answer = run("doctor", "--json", "--data-dir", str(place))
    assert {one["verdict"] for one in json.loads(answer.out)} <= {"ok", "look"}


def resting_system(resting: ThrowawaySystem[ManagedServer]) -> System:
    """Where it is."""
    return system_of(resting.data_dir.path)


@pytest.mark.server
def test_what_is_wrong_of_a_server(resting: ThrowawaySystem[ManagedServer]) -> None:
    """Settings that lose writes, and a server that refuses them: wrong, with what to do."""
    client = resting.scripts.client
    client.config_set("appendfsync", "everysec")
    wrong = bad(examine(resting_system(resting)))["server"]
    assert wrong.verdict == "wrong" and "appendfsync everysec" in wrong.found and wrong.todo
    assert_words(run("doctor", "--data-dir", str(resting.data_dir.path)), 1)
    client.config_set("appendfsync", "always")
    client.config_set("maxmemory", 1)
    assert "memory limit" in bad(examine(resting_system(resting)))["server"].found
    client.config_set("maxmemory", 0)
    # A record from the future: the clock was set back.
    client.xadd("{mm}:positions", {"x": "1"}, id="9000000000000-0")
    late = bad(examine(resting_system(resting)))["clock steps"]
    assert late.verdict == "look" and "set back" in late.todo


@pytest.mark.server
def test_what_is_wrong_of_a_directory(resting: ThrowawaySystem[ManagedServer]) -> None:
    """Files that others may read, and a directory of another system: wrong, by name."""
    place = resting.data_dir.path
    (place / "secrets" / "admin").chmod(0o644)
    wrong = bad(examine(resting_system(resting)))["permissions"]
    assert wrong.verdict == "wrong" and str(place / "secrets" / "admin") in wrong.found
    assert wrong.todo.startswith("chmod go= ")
    (place / "secrets" / "admin").chmod(0o600)
    (place / "system-id").write_text("{mm} 0123456789abcdef\n")
    assert "0123456789abcdef" in bad(examine(resting_system(resting)))["server"].found
    (place / "system-id").write_text("rubbish\n")
    assert {"data", "server"} <= bad(examine(resting_system(resting))).keys()


def test_without_a_system(tmp_path: Path) -> None:
    """Before the first start nothing is wrong, and a server that is not there is."""
    assert not bad(examine(system_of(tmp_path / "new")))
    assert not (tmp_path / "new").exists()
    url = f"unix://{tmp_path}/none.sock"
    assert bad(examine(system_of(tmp_path, url)))["server"].verdict == "wrong"
    assert bad(examine(system_of(tmp_path / "new"), "/dev/null"))["server program"].todo


def test_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that lacks something: each is worth a look, with what to do, and none is wrong."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 100))
    monkeypatch.setattr(doctor, "LITTLE_MEMORY", 2**63)
    monkeypatch.setattr(doctor, "LITTLE_DISK", 2**63)
    found = {one.about: one for one in examine(system_of(tmp_path))}
    for about in ("cores", "memory", "open files", "disk"):
        assert found[about].verdict == "look" and found[about].todo, about


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk without room is wrong."""
    monkeypatch.setattr(doctor, "full_disk", lambda _: "the disk is full")
    found = {one.about: one for one in examine(system_of(tmp_path))}
    assert found["disk"].verdict == "wrong"
