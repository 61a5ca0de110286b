"""What the tests of the metrics share."""

from __future__ import annotations

import pytest

from mm.metrics import exporter


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer is made anew."""
    monkeypatch.setattr(exporter, "FRESH_S", 0.0)
