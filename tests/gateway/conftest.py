"""One market, one gateway and one visitor for the tests of a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.gateway.served import Market, Served, market, serving
from tests.kit import binary_or_skip

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.gateway.visitor import Visitor


@pytest.fixture(scope="module")
def quoting() -> Iterator[Market]:
    """A market that quotes."""
    binary_or_skip("valkey")
    with market() as made:
        yield made


@pytest.fixture(scope="module")
def served(quoting: Market) -> Iterator[Served]:
    """A gateway over it."""
    with serving(quoting) as made:
        yield made


@pytest.fixture
def visitor(chromium: Browser, served: Served) -> Iterator[Visitor]:
    """Somebody at a desk."""
    # Only the tests in a browser need its library.
    from tests.gateway.visitor import Visitor

    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    yield Visitor(context.new_page(), served)
    context.close()
