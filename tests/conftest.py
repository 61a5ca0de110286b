"""Fixtures: one small system on each backend, the clock of the fake one in the test's hand.

The unit run is ``pytest -m "not server and not slow"``. A missing server skips, and fails where CI
is set.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import pytest

from tests.kit import (
    Backend,
    Fake,
    MakeWorld,
    Real,
    Server,
    World,
    binary_or_skip,
    fake_backend,
    small_config,
    stop_all_when_interrupted,
)
from tests.kit.browser import browser
from tests.kit.running import RunningSystem

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def pytest_configure() -> None:
    """Leave no server behind, however the run ends."""
    stop_all_when_interrupted()


def _server(name: Literal["valkey", "redis"]) -> Iterator[Server]:
    server = Server(str(binary_or_skip(name)))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Server]:
    """The session's Valkey, started at its first use."""
    yield from _server("valkey")


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    """The session's Redis, started at its first use."""
    yield from _server("redis")


@pytest.fixture(scope="module")
def started_chromium() -> Iterator[Browser]:
    """One browser for all tests of a file."""
    with browser() as found:
        yield found


@pytest.fixture
def chromium(started_chromium: Browser) -> Iterator[Browser]:
    """The browser of the file, from which the pages go that the test has opened.

    A page that a failed test left open would be drawn beside those of the next ones.
    """
    yield started_chromium
    for context in started_chromium.contexts:
        context.close()


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """The package's log, as it was before afterwards."""
    found = logging.getLogger("mm")
    before = found.handlers[:], found.level, found.propagate
    yield found
    for handler in set(found.handlers) - set(before[0]):
        handler.close()
    found.handlers, found.level, found.propagate = before


@pytest.fixture
def fake() -> Iterator[Fake]:
    """Fakeredis, empty, its clock frozen until the test moves it."""
    with fake_backend() as backend:
        yield backend


@pytest.fixture
def valkey(valkey_server: Server) -> Iterator[Real]:
    """Valkey, empty."""
    backend = Real("valkey", valkey_server)
    yield backend
    backend.close()


@pytest.fixture
def redis(redis_server: Server) -> Iterator[Real]:
    """Redis, empty."""
    backend = Real("redis", redis_server)
    yield backend
    backend.close()


@pytest.fixture(
    params=[
        "fake",
        pytest.param("valkey", marks=pytest.mark.server),
        pytest.param("redis", marks=pytest.mark.server),
    ]
)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each backend in turn: the same suite runs on all three."""
    found: Backend = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["valkey", "redis"])
def real_backend(request: pytest.FixtureRequest) -> Real:
    """Each real server in turn."""
    found: Real = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def make_world(backend: Backend) -> MakeWorld:
    """Makes a world on each backend; takes the arguments of ``small_config``."""

    def make(*args: Any, setup: bool = True, **changes: Any) -> World:
        return World(backend, small_config(*args, **changes), setup=setup)

    return make


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """Two symbols of 10 lots, a limit of 20 units, on each backend."""
    return make_world()


@pytest.fixture
def fake_world(fake: Fake) -> World:
    """Two symbols of 10 lots, a limit of 20 units, on fakeredis with a frozen clock."""
    return World(fake, small_config())


@pytest.fixture
def system() -> Iterator[RunningSystem]:
    """A data directory for one `mm up` after the other; nothing is left of it afterwards."""
    made = RunningSystem()
    yield made
    made.close()


#: Files that search, as all of ``hunts`` does, rather than check a case each: not of the unit run.
SEARCHES = ("test_fairness.py", "test_rubbish.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the searches as slow; let one process read the texts of the house, of which all do."""
    for item in items:
        if item.path.parent.name == "house" and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group("house"))
        if item.path.parent.name == "hunts" or item.path.name in SEARCHES:
            item.add_marker(pytest.mark.slow)
