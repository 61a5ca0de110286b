"""The stream of a client's reports: nothing is left out, whatever is lost between."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator

import pytest

from mm.store import execute, text
from tests.gateway.served import CLIENT, HANG_S, Served, facts_of, process

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("gateway")]

TOKEN, PATH = f"client-{CLIENT}", "/orders/reports"


def send(served: Served, *names: str) -> None:
    """Send an order of each id, one after the other."""
    with served.as_(TOKEN) as client:
        for name in names:
            assert client.post("/orders", json=served.order(name)).status_code == 200


def named(events: Iterator[dict[str, str]], count: int) -> list[tuple[str, str]]:
    """The order ids and event ids of the next reports."""
    found = []
    for event in itertools.islice(events, count):
        assert event["event"] == "report", event
        found.append((facts_of(event)["order_id"], event["id"]))
    return found


def test_a_report_comes_with_its_order(served: Served) -> None:
    """A new report is sent with the facts of its order, and the id of its stream entry."""
    served.market.quoted()
    with served.events(TOKEN, PATH) as events:
        send(served, "new-1")
        event = next(events)
    facts = facts_of(event)
    assert facts["order_id"] == "new-1" and facts["symbol"] == "AAPL" and facts["side"] == "buy"
    key = served.market.scripts.keys.member("reports:*", CLIENT)
    last = execute(served.market.scripts.client, "XREVRANGE", key, "+", "-", "COUNT", 1)
    assert event["id"] == text(last[0][0])


def test_it_goes_on_after_a_lost_connection(served: Served) -> None:
    """With the last id the missed reports come, each once and in order, then new ones."""
    served.market.quoted()
    with served.events(TOKEN, PATH) as events:
        send(served, "on-1")
        ((_, last),) = named(events, 1)
    send(served, "on-2", "on-3")
    with served.events(TOKEN, PATH, last) as events:
        found = named(events, 2)
        send(served, "on-4")
        found += named(events, 1)
    assert [name for name, _ in found] == ["on-2", "on-3", "on-4"]


def test_it_goes_on_at_another_gateway(served: Served) -> None:
    """The id of one gateway is good at another one, when the first was killed."""
    served.market.quoted()
    with process(served.market) as (running, other), other.events(TOKEN, PATH) as events:
        send(served, "other-1")
        ((_, last),) = named(events, 1)
        os.kill(running.pid, signal.SIGKILL)
        running.wait(HANG_S)
    send(served, "other-2")
    with served.events(TOKEN, PATH, last) as events:
        assert [name for name, _ in named(events, 1)] == ["other-2"]


def test_more_than_a_page_was_missed(served: Served) -> None:
    """Hundreds of missed reports come in order, none twice, while new ones come."""
    served.market.quoted()
    names = [f"page-{number}" for number in range(450)]
    client, keys = served.market.scripts.client, served.market.scripts.keys
    with served.events(TOKEN, PATH) as events:
        send(served, "page-begin")
        ((_, last),) = named(events, 1)
    line = f"{CLIENT} AAPL buy 1 1"
    for name in names:
        client.xadd(keys.named("orders"), {name: line})
    with served.events(TOKEN, PATH, last) as events:
        found = named(events, len(names))
    assert [name for name, _ in found] == names


def test_all_that_is_kept(served: Served) -> None:
    """From 0-0 on every report comes that the stream has."""
    served.market.quoted()
    send(served, "all-1")
    key = served.market.scripts.keys.member("reports:*", CLIENT)
    kept = served.market.scripts.client.xlen(key)
    with served.events(TOKEN, PATH, "0-0") as events:
        assert len(named(events, kept)) == kept


@pytest.mark.parametrize("last", ["1-1", "99999999999999-0"])
def test_a_gap_is_said(served: Served, last: str) -> None:
    """An id that the stream does not have is followed by a gap, and then by what it has."""
    served.market.quoted()
    send(served, "gap-1")
    with served.events(TOKEN, PATH, last) as events:
        first = next(events)
        assert first["event"] == "gap" and "missing" in facts_of(first)["message"]
        assert named(events, 1)


@pytest.mark.parametrize("last", ["x", "1", "1-1,2-2", "1-1-1", "-", "1-" + "9" * 30])
def test_an_id_of_no_event_is_refused(served: Served, last: str) -> None:
    """What is no id of an event of this system is 400."""
    with served.as_(TOKEN) as client:
        answer = client.get(PATH, headers={"Last-Event-ID": last})
    assert answer.status_code == 400, answer.text


def test_whose_reports(served: Served) -> None:
    """A client follows its own reports alone; who reads everything names whose."""
    served.market.quoted()
    with served.as_(TOKEN) as client:
        assert client.get(PATH, params={"client_id": "other"}).status_code == 403
    with served.events("viewer", f"{PATH}?client_id={CLIENT}") as events:
        send(served, "whose-1")
        assert [name for name, _ in named(events, 1)] == ["whose-1"]


def test_what_is_no_report_is_left_out(served: Served) -> None:
    """Rubbish in the stream of reports harms no watcher."""
    served.market.quoted()
    key = served.market.scripts.keys.member("reports:*", CLIENT)
    with served.events(TOKEN, PATH) as events:
        served.market.scripts.client.xadd(
            key,
            {
                "x": "rubbish",
                "y": b"\xff",
                "status": "zzz - 0 - - - 0 1",
                "fill": "filled - 1 1 AAPL-x AAPL-1 0 1",
            },
        )
        send(served, "after-1")
        assert [name for name, _ in named(events, 1)] == ["after-1"]


def test_a_server_that_was_away(served: Served) -> None:
    """A stream outlives a server that hangs: what came later is sent."""
    served.market.quoted()
    with served.events(TOKEN, PATH) as events:
        with served.market.frozen_server():
            pass
        served.market.quoted()
        send(served, "away-1")
        assert [name for name, _ in named(events, 1)] == ["away-1"]
