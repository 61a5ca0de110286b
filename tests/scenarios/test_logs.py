"""One order in the logs of real processes: from its entry to the quote that answers it."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from mm.store import take_snapshot
from tests.kit import SERVERS, binary_or_skip, free_port, wait_for
from tests.kit.commands import MM
from tests.kit.running import RunningSystem

pytestmark = [pytest.mark.server, pytest.mark.slow]

#: The events on an order's way.
STEPS = {"sent", "executed", "reported", "applied", "answered"}


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a log, each of which is one JSON object."""
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def all_lines(logs: Path) -> list[dict[str, Any]]:
    """The lines of all processes, by their time."""
    paths = [*logs.glob("*-*.log"), logs / "serve.log"]
    found = [line for path in paths if path.is_file() for line in lines_of(path)]
    return sorted(found, key=lambda line: str(line["at"]))


@SERVERS
def test_one_order_from_entry_to_quote(server: str, system: RunningSystem) -> None:
    """The order's id finds every line about it, from where it was sent to the next quote.

    The processes run as the users of their roles, whose rights are enough for it.
    """
    binary = str(binary_or_skip(server))
    system.start("--log-detail", "--log-format", "json", "--server", binary)
    logs = system.data_dir / "logs"
    keys = system.scripts().keys
    system.scripts().client.xadd(keys.named("orders"), {b"o\n9\x00\xff": b'c1 \xed\xa0\x80 "}\n'})

    def trail() -> list[dict[str, Any]]:
        """All lines about the first order of the publisher that a quote has answered.

        Each process writes when it has read the reply to its step, so they come in any order.
        """
        found = all_lines(logs)
        answered = (line["order"] for line in found if line["event"] == "answered")
        order = next((one for one in answered if one.startswith("publisher-1/")), "")
        own = [line for line in found if line.get("order") == order]
        return own if {one["event"] for one in own} >= STEPS else []

    found = wait_for("an order that a quote has answered", trail, 30)
    steps = {line["event"]: line for line in found}
    assert len(found) == len(steps) == len(STEPS)
    kinds = {event: str(line["process"]).partition("-")[0] for event, line in steps.items()}
    assert kinds == {
        "sent": "publisher",
        "executed": "exchange",
        "reported": "publisher",
        "applied": "state",
        "answered": "state",
    }
    assert {line["fill"] for line in found if "fill" in line} == {steps["executed"]["fill"]}
    assert steps["answered"]["position_version"] >= steps["applied"]["position_version"]
    quote = steps["answered"]["quote"]
    events = take_snapshot(system.scripts(), recent=10_000).events
    (placed,) = [one for one in events if one.quote_id == quote and one.event == "active"]
    assert placed.position_version == steps["answered"]["position_version"]
    wait_for(
        "the rubbish in the log",
        lambda: [one for one in lines_of(logs / "exchange-1.log") if "\n" in str(one.get("order"))],
    )
    code, output = system.stop()
    assert code == 0, output
    assert {line["event"] for line in all_lines(logs)} >= {"note", "done", "matched", "quoted"}
    assert not [line for line in all_lines(logs) if line["event"] == "unread"]


def test_an_order_over_http_from_entry_to_quote(system: RunningSystem) -> None:
    """The gateway says of its orders what a publisher does, so their way begins there."""
    port = free_port()
    words = ("--log-detail", "--log-format", "json", "--serve", f"127.0.0.1:{port}")
    system.start(*words)
    path = system.data_dir / "tokens" / "client-by-http"
    token = wait_for("the token", lambda: path.exists() and path.read_text().strip(), 30)

    def post(number: int, **changes: str) -> dict[str, Any]:
        """The answer to an order that takes what there is."""
        body = {"order_id": f"web-{number}", "symbol": "AAPL", "side": "buy", "quantity": "1"}
        with httpx.Client(headers={"Authorization": f"Bearer {token}"}, trust_env=False) as client:
            url = f"http://127.0.0.1:{port}/orders"
            body |= {"limit_price": "250.00", **changes}
            facts: dict[str, Any] = client.post(url, json=body, timeout=30).json()
            return facts

    numbers = itertools.count()

    def filled() -> str:
        """The id of a new order if it is filled."""
        try:
            found = post(next(numbers))
        except httpx.ConnectError:
            return ""
        return str(found["order_id"]) if found.get("fill_id") else ""

    name = wait_for("a fill", filled, 30)
    order = f"by-http/{name}"

    def trail() -> list[dict[str, Any]]:
        own = [line for line in all_lines(system.data_dir / "logs") if line.get("order") == order]
        return own if {one["event"] for one in own} >= STEPS else []

    found = wait_for("the order's way to a quote", trail, 30)
    assert len(found) == len(STEPS)
    own = {line["event"]: line for line in found if line["process"] == "serve"}
    assert own.keys() == {"sent", "reported"}
    assert own["sent"]["content"].startswith("AAPL buy 1 ")
    assert own["reported"]["status"] == "filled" and own["reported"]["fill"]
    assert post(int(name.removeprefix("web-")), side="sell")["error"] == "order_id_conflict"
    again = [line for line in lines_of(system.data_dir / "logs" / "serve.log")
             if line.get("order") == order][2:]  # fmt: skip
    assert [line["event"] for line in again] == ["sent", "reported"]
    assert (again[1]["status"], again[1]["reason"]) == ("rejected", "order_id_conflict")
    code, output = system.stop()
    assert code == 0, output


def test_json_on_standard_error(system: RunningSystem) -> None:
    """A process without a data directory writes its lines to standard error, and no other ones."""
    system.start()
    url = f"unix://{system.data_dir / 'redis.sock'}"
    nowhere = str(system.data_dir / "none")
    words = ["exchange", "--id", "9", "--redis-url", url, "--data-dir", nowhere]
    with subprocess.Popen([*MM, *words, "--log-format", "json"], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        first = json.loads(process.stderr.readline())
        assert (first["process"], first["event"]) == ("exchange-9", "note")
        process.terminate()
        rest = process.stderr.read().decode("ascii").splitlines()
    assert process.returncode == 0
    assert [json.loads(line)["process"] for line in rest] == ["exchange-9"] * len(rest)
    assert "stopped in order by SIGTERM" in rest[-1]
