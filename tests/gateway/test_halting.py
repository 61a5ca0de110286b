"""Halt and resume that get no answer: what the refusal says is what happened."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx
import pytest

from mm.gateway import control
from mm.gateway.links import Links
from mm.gateway.operations import OPERATIONS
from mm.store import read_identity, set_modes
from tests.gateway.served import HANG_S, Served

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("gateway")]


def change(served: Served, act: str) -> httpx.Response:
    """The answer to a halt or resume of one symbol."""
    with served.as_("operator") as client:
        return client.post(f"/{act}", json={"symbols": ["AAPL"], "why": "news"})


def modes(served: Served) -> list[Any]:
    """The modes that operators have set."""
    with served.as_("viewer") as client:
        found: list[Any] = client.get("/api/status").json()["modes"]
        return found


def test_a_change_that_was_cut_off_may_be_done(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server makes the change, and its answer is lost: the refusal does not deny it."""

    def lost(*words: Any) -> Any:
        set_modes(*words)
        raise ConnectionError("cut off")

    monkeypatch.setattr(control, "set_modes", lost)
    answer = change(served, "halt")
    assert answer.status_code == 503 and answer.json()["may_be_done"] is True
    assert answer.json()["message"].startswith("no answer: it may have been done")
    assert "cut off" in answer.json()["message"]
    assert [one["symbol"] for one in modes(served)] == ["AAPL"]
    monkeypatch.undo()
    assert change(served, "resume").status_code == 200
    assert modes(served) == []
    (texts,) = [dict(one.errors) for one in OPERATIONS if one.path == "/halt"]
    assert "may_be_done" in texts[503]


def test_a_change_that_cannot_begin_is_not_done(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was asked of the server yet: the refusal says that nothing is done."""

    def lost(_scripts: Any) -> Any:
        raise ConnectionError("cut off")

    monkeypatch.setattr(control, "require_config", lost)
    answer = change(served, "halt")
    assert answer.status_code == 503 and answer.json()["may_be_done"] is False
    assert answer.json()["message"].startswith("not done (")


def test_a_change_that_was_given_up_is_never_made(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow server answers what comes before the change only after the request has its answer."""
    goes_on, went_on = threading.Event(), threading.Event()

    def slow(scripts: Any) -> Any:
        assert goes_on.wait(HANG_S)
        found = read_identity(scripts)
        went_on.set()
        return found

    monkeypatch.setattr(control, "read_identity", slow)
    monkeypatch.setattr(Links.run, "__defaults__", (0.3,))
    answer = change(served, "halt")
    monkeypatch.undo()
    assert answer.status_code == 503 and answer.json()["may_be_done"] is False
    goes_on.set()
    assert went_on.wait(HANG_S)
    # Time for the change, if its thread did make it.
    time.sleep(0.3)
    assert modes(served) == []


def test_the_answer_does_not_wait_for_the_state(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is done is answered as done, when the state cannot be read afterwards, too."""

    def lost(_scripts: Any) -> Any:
        raise ConnectionError("cut off")

    with monkeypatch.context() as broken:
        broken.setattr("mm.gateway.links.SystemState.now", lost)
        broken.setattr("mm.gateway.links.KNOWN_S", 0.0)
        answer = change(served, "halt")
    assert answer.status_code == 200 and "cut off" in answer.json()["trouble"][0]
    assert change(served, "resume").status_code == 200
    assert modes(served) == []
