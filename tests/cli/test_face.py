"""The face for users: one import, nothing loaded before it is used, and the README's example."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

import mm
from mm.market import default_config
from mm.store import SOCKET_NAME, Keys, server_url
from tests.kit import Real, World
from tests.kit.commands import loaded_after, run_python

README = Path(__file__).resolve().parents[2] / "README.md"


def test_each_name_is_the_one_of_its_package() -> None:
    """Each listed name exists and is listed by ``dir``; another name is an AttributeError."""
    for name in mm.__all__:
        assert getattr(mm, name) is not None
        assert name in dir(mm)
    assert mm.Keys is Keys
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = getattr(mm, "Nothing")  # noqa: B009  # a type checker refuses mm.Nothing


def test_import_loads_nothing_else() -> None:
    """``import mm`` loads no other package; the first name that is used loads its own."""
    assert loaded_after("import mm").isdisjoint({"redis", "rich", "click", "mm.orders"})
    after_errors = loaded_after("from mm import MMError")
    assert "mm.errors" in after_errors
    assert "redis" not in after_errors
    after_client = loaded_after("from mm import OrderClient")
    assert "mm.orders" in after_client
    assert after_client.isdisjoint({"rich", "click"})


def test_a_server_is_named_by_url_or_data_directory(tmp_path: Path) -> None:
    """A URL stands for itself, a directory for the socket in it, and anything else is refused."""
    assert server_url("redis://localhost:1/2") == "redis://localhost:1/2"
    assert server_url(tmp_path) == f"unix://{tmp_path}/{SOCKET_NAME}"
    assert server_url(str(tmp_path)) == server_url(tmp_path)
    with pytest.raises(mm.ValueRefused, match="data directory"):
        server_url(tmp_path / "nothing")


@pytest.mark.server
def test_the_example_of_the_readme_runs(valkey: Real, tmp_path: Path) -> None:
    """The README's Python example, run beside a data directory, prints the report of a fill."""
    (example,) = re.findall(r"^```python\n(.*?)^```", README.read_text("utf-8"), re.M | re.S)
    (tmp_path / "mm-data").mkdir()
    (tmp_path / "mm-data" / SOCKET_NAME).symlink_to(valkey.server.socket)
    (tmp_path / "mm-data" / "secrets").symlink_to(valkey.server.socket.parent / "secrets")
    world = World(valkey, default_config())
    world.propose("AAPL", bid=17500, bid_lots=10, ask=17600)
    exchange, stop = world.exchange(), threading.Event()
    exchange.close()
    thread = threading.Thread(target=exchange.run, args=(stop,))
    thread.start()
    try:
        printed = run_python(example, tmp_path)
    finally:
        stop.set()
        thread.join()
    assert "status='filled'" in printed
    assert [fill.qty_lots for fill in world.fills()] == [5]
