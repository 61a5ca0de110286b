"""A gateway over a system of two partitions: one stream, one halt and one page over both."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from mm.gateway.answers import Refused
from mm.gateway.report_events import parse_place
from tests.gateway.served import CLIENT, HANG_S, Market, Served, facts_of, market, serving
from tests.kit import binary_or_skip, wait_for
from tests.kit.partitioned import lose

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("gateway")]

TOKEN, PATH = f"client-{CLIENT}", "/orders/reports"
#: A symbol of each partition, with a price at which a buy of it fills at once.
FIRST, SECOND = {"symbol": "AAPL"}, {"symbol": "MSFT", "limit_price": "500.00"}
BOTH = {"AAPL", "MSFT"}


@pytest.fixture(scope="module")
def quoting() -> Iterator[Market]:
    """A market of two partitions."""
    binary_or_skip("valkey")
    with market(partitions=2) as made:
        yield made


def quoted(served: Served) -> None:
    """Wait until a symbol of each partition is quoted."""
    for name in BOTH:
        served.market.quoted(name)


def send(served: Served, name: str, changes: dict[str, Any]) -> dict[str, Any]:
    """The report of an order."""
    with served.as_(TOKEN) as client:
        answer = client.post("/orders", json=served.order(name, **changes))
    assert answer.status_code == 200, answer.text
    facts: dict[str, Any] = answer.json()
    return facts


def send_in_turn(served: Served, names: list[str]) -> None:
    """Send an order of each id, one after the other, to one partition and the other in turn."""
    for name, changes in zip(names, itertools.cycle((FIRST, SECOND)), strict=False):
        send(served, name, changes)


def reports(events: Iterator[dict[str, str]], count: int) -> list[tuple[str, str]]:
    """The order id and the event id of each of the next events, which are reports."""
    found = list(itertools.islice(events, count))
    assert {one["event"] for one in found} == {"report"}, found
    return [(facts_of(one)["order_id"], one["id"]) for one in found]


def test_the_reports_of_both_are_in_one_stream(served: Served) -> None:
    """An order of each partition is filled, and both reports come with a place in both."""
    quoted(served)
    with served.events(TOKEN, PATH) as events:
        answers = [send(served, "both-1", FIRST), send(served, "both-2", SECOND)]
        found = list(itertools.islice(events, 2))
    assert [one["status"] for one in answers] == ["filled", "filled"]
    facts = {one["symbol"]: one for one in map(facts_of, found)}
    for answer in answers:
        same = facts[answer["symbol"]]
        assert same["fill_id"] == answer["fill_id"] and same["quantity"] == "1"
    first, second = (one["id"].split(",") for one in found)
    assert [one != other for one, other in zip(first, second, strict=True)].count(True) == 1


def test_it_goes_on_in_the_middle(served: Served) -> None:
    """After the id of any event come the reports that were not sent before it, each once."""
    quoted(served)
    names = [f"middle-{number}" for number in range(6)]
    with served.events(TOKEN, PATH) as events:
        send_in_turn(served, names)
        found = reports(events, len(names))
    assert sorted(name for name, _ in found) == names
    for number in range(1, len(names) + 1):
        last, missed = found[number - 1][1], [name for name, _ in found[number:]]
        with served.events(TOKEN, PATH, last) as events:
            rest = reports(events, len(missed))
            send_in_turn(served, [f"end-{number}-1", f"end-{number}-2"])
            rest += reports(events, 2)
        assert sorted(name for name, _ in rest[:-2]) == sorted(missed)
        assert {name for name, _ in rest[-2:]} == {f"end-{number}-1", f"end-{number}-2"}
        found += rest[-2:]


@pytest.mark.parametrize("last", ["0-0", "0-0,0-0"])
def test_all_that_is_kept(served: Served, last: str) -> None:
    """From 0-0 on every report comes that the streams of the partitions have."""
    quoted(served)
    send(served, f"kept-1-{len(last)}", FIRST)
    send(served, f"kept-2-{len(last)}", SECOND)
    root = served.market.scripts
    kept = 0
    for number in range(2):
        one = root.over(root.keys.partition(number))
        kept += one.client.xlen(one.keys.member("reports:*", CLIENT))
    with served.events(TOKEN, PATH, last) as events:
        found = [name for name, _ in reports(events, kept)]
    assert len(set(found)) == kept
    assert {f"kept-1-{len(last)}", f"kept-2-{len(last)}"} <= set(found)


def test_a_gap_in_one_of_them(served: Served) -> None:
    """A place that one partition no longer has is said; the other goes on where it was."""
    quoted(served)
    with served.events(TOKEN, PATH) as events:
        send_in_turn(served, ["gap-1", "gap-2"])
        place = reports(events, 2)[-1][1].split(",")
    send(served, "gap-3", SECOND)
    with served.events(TOKEN, PATH, f"1-1,{place[1]}") as events:
        assert next(events)["event"] == "gap"
        names = []
        while "gap-3" not in names:
            names += [name for name, _ in reports(events, 1)]
    assert "gap-1" in names and "gap-2" not in names


def test_a_place_of_partitions() -> None:
    """A place has one id for each partition; 0-0 alone is the beginning of all."""
    assert parse_place("id", "1-2,3-4", 2) == ("1-2", "3-4")
    assert parse_place("id", "0-0", 3) == ("0-0", "0-0", "0-0")
    for word in ("1-1", "1-1,2-2,3-3", "0-0,0-0,0-0", "0-0,", "1-1,x", "", "0-0 ,0-0"):
        with pytest.raises(Refused) as found:
            parse_place("id", word, 2)
        assert (found.value.status, "0-0" in str(found.value)) == (400, True), word


@pytest.mark.parametrize("changes", [FIRST, SECOND], ids=["first", "second"])
def test_a_used_id_is_a_conflict_in_each(served: Served, changes: dict[str, Any]) -> None:
    """The first order of an id is found where the symbol is."""
    quoted(served)
    name = f"used-{changes['symbol']}"
    send(served, name, changes)
    with served.as_(TOKEN) as client:
        answer = client.post("/orders", json=served.order(name, **changes, quantity="2"))
    assert answer.status_code == 409, answer.text
    first = answer.json()["first_order"]
    assert (first["symbol"], first["quantity"]) == (changes["symbol"], "1")


def test_a_partition_without_an_exchange(quoting: Market) -> None:
    """Its orders are 503, which names it; those of the other one are answered as ever."""
    with serving(quoting, order_s=2.5) as served:
        quoted(served)
        with quoting.without("exchange-1.1"), served.as_(TOKEN) as client:
            send(served, "alone-1", FIRST)
            answer = client.post("/orders", json=served.order("alone-2", **SECOND))
            assert answer.status_code == 503, answer.text
            assert any("partition 1" in words for words in answer.json()["down"]), answer.text
            send(served, "alone-3", FIRST)
        quoted(served)
        assert send(served, "alone-2", SECOND)["symbol"] == "MSFT"


def modes(served: Served) -> dict[str, str]:
    """The trading mode of a symbol of each partition."""
    with served.as_("viewer") as client:
        rows = client.get("/api/quotes").json()
    return {row["symbol"]: row["mode"] for row in rows if row["symbol"] in BOTH}


def resume(served: Served) -> None:
    """Let all symbols trade again."""
    with served.as_("operator") as client:
        answer = client.post("/resume", json={"all": True, "why": "a test"})
    assert answer.status_code == 200, answer.text
    quoted(served)


def test_a_halt_of_all_halts_both(served: Served) -> None:
    """It is one change, withdraws the quotes of both, and lasts until all are resumed."""
    quoted(served)
    with served.as_("operator") as client:
        answer = client.post("/halt", json={"all": True, "why": "a test"})
    facts = answer.json()
    assert (answer.status_code, facts["missed"]) == (200, []), answer.text
    assert [(one["symbol"], one["after"]) for one in facts["changes"]] == [("*", "halted")]
    assert {name.rpartition("-")[0] for name in facts["quotes_withdrawn"]} >= BOTH
    assert modes(served) == dict.fromkeys(BOTH, "halted")
    resume(served)
    assert modes(served) == dict.fromkeys(BOTH, "active")


@pytest.mark.parametrize("asked", [{"all": True}, {"symbols": sorted(BOTH)}], ids=str)
def test_a_halt_that_misses_one(
    served: Served, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    """It is 503 and names the partition; the other one is halted, and a repeat does the rest."""
    quoted(served)
    body = asked | {"why": "a test"}
    with served.as_("operator") as client:
        with monkeypatch.context() as context:
            lose(context, "{mm-1}", "control")
            answer = client.post("/halt", json=body)
        facts = answer.json()
        assert answer.status_code == 503 and answer.headers["retry-after"], answer.text
        (missed,) = facts["missed"]
        assert missed.startswith("{mm-1} was not reached")
        assert facts["message"].startswith(f"not done everywhere: {missed}. Ask again")
        assert facts["down"] and {one["after"] for one in facts["changes"]} == {"halted"}
        assert modes(served) == {"AAPL": "halted", "MSFT": "active"}
        again = client.post("/halt", json=body)
        assert (again.status_code, again.json()["missed"]) == (200, []), again.text
        assert modes(served) == dict.fromkeys(BOTH, "halted")
        if "symbols" in asked:
            client.post("/resume", json=body)
    resume(served)


def test_what_is_read_has_both(served: Served) -> None:
    """Positions, quotes and fills are those of both partitions, and the audit is of both."""
    quoted(served)
    send_in_turn(served, ["read-1", "read-2"])
    with served.as_("viewer") as client:
        for path in ("/api/positions", "/api/quotes", "/api/fills"):
            assert {row["symbol"] for row in client.get(path).json()} >= BOTH, path
        for name in BOTH:
            assert client.get(f"/api/explain/{name}").json()["symbol"] == name
        assert client.get("/api/audit").json()["ok"] is True


def test_the_page_has_both(served: Served) -> None:
    """A frame has the symbols and the fills of both; each symbol has its page."""
    quoted(served)
    send_in_turn(served, ["page-1", "page-2"])
    with served.events("viewer", "/api/live") as events:

        def is_shown() -> bool:
            frame = facts_of(next(events))
            filled = {one["symbol"] for one in frame["newest_fills"]}
            return filled >= BOTH and {row["symbol"] for row in frame["rows"]} >= BOTH

        wait_for("a frame with both", is_shown, HANG_S)
    for name in BOTH:
        with served.events("viewer", f"/api/live?symbol={name}") as events:
            frame = facts_of(next(events))
        assert frame["symbol"] == name and frame["quote"]["quote_id"].startswith(f"{name}-")
        assert {one["symbol"] for one in frame["newest_fills"]} == {name}
