"""Whether replicas have what their server had done."""

from __future__ import annotations

from typing import Any

import pytest

from mm.store.replicated import is_replicated


class Following:
    """What a server says of its replicas, one saying after the other."""

    def __init__(self, *offsets: int | None, history: str = "h") -> None:
        self._offsets = list(offsets)
        self._history = history

    def info(self, section: str) -> dict[str, Any]:
        """The next saying; the last one stays."""
        assert section == "replication"
        offset = self._offsets.pop(0) if len(self._offsets) > 1 else self._offsets[0]
        found: dict[str, Any] = {"master_replid": self._history, "master_repl_offset": 100}
        if offset is not None:
            found["slave0"] = {"state": "online", "offset": offset}
        return found


@pytest.mark.parametrize(
    ("server", "confirmed"),
    [
        (Following(100), True),
        (Following(90, 90, 100), True),
        (Following(99), False),
        (Following(None), False),
        (Following(100, history="other"), False),
    ],
)
def test_what_replicas_have(server: Any, confirmed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that the server had done is asked for, in the same history."""
    monkeypatch.setattr("mm.store.replicated.LOOKS", 4)
    assert is_replicated(server, "h", 1) is confirmed
