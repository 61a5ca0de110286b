"""The managed server answers nobody but its owner."""

from __future__ import annotations

from pathlib import Path

import pytest

from mm.store import open_client
from tests.kit.crash import (
    trading,
)


@pytest.mark.server
def test_the_server_answers_its_owner_only(tmp_path: Path) -> None:
    """The managed server opens no TCP port, and its directory is closed to other users."""
    with trading("valkey") as (made, world, _):
        assert world.client.config_get("port")["port"] == "0"
        assert made.directory.path.stat().st_mode & 0o777 == 0o700
        assert open_client(made.directory.url).ping()
