"""The secrets of a data directory, and the file of its server's users (R25)."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from mm.errors import SystemRefused
from mm.host import DataDir, make_secrets
from mm.host.users import server_users, write_users
from mm.store import hashed


def test_made_once(tmp_path: Path) -> None:
    """What is there stays, what is missing is made, and only the owner can read any of it."""
    place = tmp_path / "secrets"
    first = make_secrets(place, ["viewer", "maker"])
    assert make_secrets(place, ["viewer", "state"]) == first | {
        "state": (place / "state").read_text().strip()
    }
    assert len(set(first.values())) == 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()} == {0o600}


def test_what_a_kill_leaves(tmp_path: Path) -> None:
    """A secret is whole or not there: half a file is no secret, and does not stop a start."""
    place = tmp_path / "secrets"
    place.mkdir()
    (place / "viewer.new").write_text("12ab")
    assert set(make_secrets(place, ["viewer"])) == {"viewer"}
    (place / "maker.new").write_text("")
    assert set(make_secrets(place, ["viewer"])) == {"viewer"}


def test_a_damaged_secret_is_named_and_not_shown(tmp_path: Path) -> None:
    """A foreign hand's file is an error with its path."""
    (tmp_path / "viewer").write_text("hunter2")
    with pytest.raises(SystemRefused, match=r"viewer: it must hold 64 hex digits") as caught:
        make_secrets(tmp_path, ["viewer"])
    assert "hunter2" not in str(caught.value)


def test_the_file_of_users(tmp_path: Path) -> None:
    """It has hashes and rules, and is written again only where something has changed."""
    data_dir = DataDir(tmp_path)
    path = write_users(data_dir, ["publisher-42"])
    text = path.read_text()
    secrets = make_secrets(data_dir.secrets, [])
    named = [line.split()[1] for line in text.splitlines()]
    assert sorted(named) == sorted(["default", *server_users(["publisher-42"])])
    assert all(f"#{hashed(secret)} " in text for secret in secrets.values())
    assert not any(secret in text for secret in secrets.values())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.stat().st_ino
    assert write_users(data_dir) == path
    assert path.stat().st_ino == before
    (data_dir.secrets / "publisher-42").unlink()
    write_users(data_dir)
    assert "publisher-42" not in path.read_text()
