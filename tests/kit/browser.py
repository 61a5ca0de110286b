"""A browser without a screen, for pages that must work in one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

#: How long a page may take to show what a test expects.
PATIENCE_MS = 20_000


def chromium_or_skip() -> str:
    """The path of Chromium; a missing one skips the test, and fails it where CI is set."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is not None:
        return found
    words = "no Chromium on this machine"
    if os.environ.get("CI"):
        pytest.fail(words + ", and CI must have one")
    pytest.skip(words)


@contextmanager
def browser() -> Iterator[Browser]:
    """Chromium, driven by playwright, with nothing of any user."""
    path = chromium_or_skip()
    from playwright.sync_api import expect, sync_playwright

    # A wait that fails says so late, and never for a busy machine.
    expect.set_options(timeout=PATIENCE_MS)
    # Without its sandbox: tests may run as root, and the pages are our own.
    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield found
        finally:
            found.close()
