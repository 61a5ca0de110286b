"""The answers to scrapes: every figure is what the system says, and no answer is dear."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from mm.audit import audit
from mm.errors import UsageError
from mm.facts import totals
from mm.metrics import METRICS, Exporter, content_type, exporter
from mm.store import Keys, Scripts, acl_rules, execute, read_symbols, take_snapshot
from tests.kit import Real, World, small_config, symbol_names, wait_for
from tests.kit.archivist import run
from tests.kit.partitioned import Partitioned
from tests.kit.scraped import Served

pytestmark = pytest.mark.server


@pytest.fixture
def live(real_backend: Real) -> World:
    """Two quoted symbols on each real server."""
    world = World(real_backend, small_config())
    world.propose("AAA")
    world.propose("BBB")
    return world


def exporter_of(world: World) -> Exporter:
    """An exporter whose reader has begun."""
    scripts = world.make_scripts()
    made = Exporter(lambda: scripts)
    made.sample()
    return made


def trade(world: World, found: Exporter) -> None:
    """An order that fills, one that does not, one that is rejected, one that is resent."""
    filled = world.order("sell", 4)
    exchange = world.exchange()
    for order in (filled, world.order("buy", 1, limit=1), world.order("buy", 1, symbol="ZZZ")):
        world.send(order)
    exchange.step()
    world.send(filled)
    exchange.step()
    world.state().step()
    exchange.beat()
    maker, rival = world.maker("1"), world.maker("2")
    survey = maker.scripts.survey(["AAA", "BBB"])
    for one in (maker, rival):
        one.peers = []
        one.act(survey)
        one.beat()
    found.sample()
    found.look()


def test_every_metric_is_served_as_documented(live: World) -> None:
    """The metrics of an answer are those of the reference, of these kinds and with these labels."""
    found = exporter_of(live)
    trade(live, found)
    found.audited(audit(live.scripts).facts())
    served = Served(found.text())
    assert served.kinds == {name: one.kind for name, one in METRICS.items()}
    for name, about in METRICS.items():
        for labels in served.series.get(name, {}):
            assert {label for label, _ in labels} == set(about.labels), name
    assert "text/plain" in content_type()


def test_names_follow_the_conventions() -> None:
    """A counter ends in _total and nothing else does; times are in seconds."""
    for name, about in METRICS.items():
        assert name.startswith("mm_")
        assert name.endswith("_total") == (about.kind == "counter"), name
        assert not name.endswith(("_ms", "_milliseconds"))
        assert about.meaning[0].islower() or about.meaning[0].isdigit()


def test_figures_of_the_flow(live: World) -> None:
    """Orders, fills, rejects, duplicates, refusals and times are what was done."""
    found = exporter_of(live)
    trade(live, found)
    served = Served(found.text())
    assert served("mm_system_up") == 1
    assert served("mm_orders_total", partition="0") == 4
    assert served.of("mm_fills_total", "symbol") == {"AAA": 1, "BBB": 0}
    assert served("mm_fills_committed_total", partition="0") == 1
    assert served("mm_orders_rejected_total", process="exchange-1") == 1
    assert served("mm_orders_duplicate_total", process="exchange-1") == 1
    assert served("mm_dead_letters_total", source="orders", reason="unknown_symbol") == 1
    assert served("mm_proposals_total", process="maker-1", outcome="granted") == 1
    assert served("mm_proposals_refused_total", process="maker-2", rule="STALE_QUOTE") == 1
    assert served("mm_proposals_refused_total", process="maker-1", rule="STALE_QUOTE") == 0
    assert served.of("mm_quotes_total", "symbol") == {"AAA": 2, "BBB": 1}
    counts = {until: served(f"mm_order_{until}_seconds_count") for until in ("report", "quote")}
    assert counts == {"report": 3, "quote": 1}
    assert set(served.of("mm_latency_lost_total", "until").values()) == {0}
    assert served("mm_position", symbol="AAA") == 4


def test_figures_of_the_state(live: World) -> None:
    """Exposure, modes, halts, waiting symbols, lag and profit are those of the facts."""
    found = exporter_of(live)
    live.propose("AAA", bid_lots=10, ask_lots=5)
    live.propose("BBB", bid_lots=10)
    live.send(live.order("sell", 3), live.order("buy", 1))
    served = Served(found.text())
    assert served("mm_orders_waiting", partition="0") == 2
    assert served("mm_lag_seconds", partition="0", consumer="exchange") is not None
    live.scripts.match(10)
    assert Served(found.text())("mm_fills_waiting", partition="0") == 2
    live.scripts.commit(10)
    live.control("halted", "BBB")
    served = Served(found.text())
    snapshot = take_snapshot(live.scripts)
    exposure = snapshot.exposure
    assert served("mm_exposure_limit_units", budget="long") == exposure.limit_units == 20
    assert served("mm_exposure_lease_units", partition="0") == 20
    reserved = served.of("mm_exposure_reserved_units", "budget")
    assert reserved == {"long": exposure.bid_units, "short": exposure.ask_units}
    assert served("mm_symbol_stopped", symbol="BBB", why="halted") == 1
    assert served.of("mm_symbol_stopped", "symbol").keys() == {"BBB"}
    assert served.of("mm_quote_active", "symbol") == {"AAA": 1, "BBB": 0}
    assert served.of("mm_symbols_in_mode", "mode")["halted"] == 1
    assert served("mm_stoppages", expected="true") == 1
    (total,) = totals(snapshot)
    parts = [
        sum(v for labels, v in served.series["mm_profit"].items() if ("part", part) in labels)
        for part in ("spread", "inventory")
    ]
    assert parts == pytest.approx([float(total.spread), float(total.inventory)])
    assert served("mm_audit_violations") is None


def test_the_verdict_of_an_audit(live: World) -> None:
    """The violations of all checks are added up, with the instant that was judged."""
    found = exporter_of(live)
    checks = [{"violation_count": 2}, {"violation_count": 0}, {"violation_count": 1}]
    found.audited({"now_ms": 5_000, "checks": checks})
    served = Served(found.text())
    assert (served("mm_audit_violations"), served("mm_audit_timestamp_seconds")) == (3, 5)


def test_waiting_symbols_and_integrity_errors(real_backend: Real) -> None:
    """Symbols that wait, and one whose ledger has a gap, are named; the others have no series."""
    world = World(real_backend, small_config(3, limit=10))
    world.propose("AAA")
    world.propose("BBB")
    world.client.xadd(world.keys.named("fills"), {"CCC-7": "buy 1 100 c1 o1 CCC-1 1 100"})
    world.scripts.commit(10)
    found = exporter_of(world)
    served = Served(found.text())
    assert served.of("mm_symbol_waiting", "symbol") == {"BBB": 1}
    assert served.of("mm_symbols_waiting", "budget") == {"long": 1, "short": 1}
    assert served("mm_symbol_stopped", symbol="CCC", why="integrity_error") == 1


def test_processes(live: World) -> None:
    """A silent process is not live, its restarts are counted, and no client is a process."""
    live.beat("state-1", fields={"restarts": "4"})
    live.admit("c1")
    live.send_to_inbox("c1", "o1", "c1 AAA buy 1 200")
    live.scripts.collect(10)
    found = exporter_of(live)
    served = Served(found.text())
    assert served("mm_process_live", process="state-1", kind="state") == 1
    assert served("mm_process_restarts_total", process="state-1") == 4
    assert served.of("mm_process_live", "process").keys() == {"state-1"}
    wait_for(
        "silence",
        lambda: Served(found.text())("mm_process_live", process="state-1", kind="state") == 0,
    )
    assert (Served(found.text())("mm_process_silent_seconds", process="state-1") or 0) > 2


def test_a_replaced_up_is_not_missed(live: World) -> None:
    """An `mm up` that has died is missed until there is another one, and then never again."""
    found = exporter_of(live)
    live.beat("up-1")
    wait_for("silence", lambda: Served(found.text()).of("mm_process_live", "process")["up-1"] == 0)
    live.beat("up-2")
    assert Served(found.text()).of("mm_process_live", "process") == {"up-2": 1}


def test_counters_outlive_the_exporter(live: World) -> None:
    """What is stored goes on in another exporter; what the reader counts begins anew at 0."""
    first = exporter_of(live)
    trade(live, first)
    before, after = Served(first.text()), Served(exporter_of(live).text())
    for name in ("mm_orders_total", "mm_fills_total", "mm_quotes_total", "mm_proposals_total"):
        assert after.series[name] == before.series[name]
    assert after("mm_order_report_seconds_count") == 0


def test_figures_of_the_archive(live: World, tmp_path: Path) -> None:
    """Fills that are not archived, and an archivist in trouble, which stops no trading."""
    found = exporter_of(live)
    live.propose("AAA", bid_lots=10, ask_lots=5)
    live.trade(live.order("sell", 3), live.order("sell", 1))
    live.drain()
    assert Served(found.text()).of("mm_fills_unarchived", "partition") == {"0": 2}
    before = Served(found.text())("mm_stoppages", expected="false")
    archivist = live.archivist(tmp_path)
    (tmp_path / "archive.db").write_bytes(b"rubbish" * 999)
    archivist.step()
    archivist.beat()
    served = Served(found.text())
    assert served.of("mm_archivist_trouble", "process") == {"archivist-1": 1}
    assert served("mm_stoppages", expected="false") == before
    (tmp_path / "archive.db").unlink()
    run(archivist)
    archivist.beat()
    served = Served(found.text())
    assert served.of("mm_archivist_trouble", "process") == {"archivist-1": 0}
    assert served.of("mm_fills_unarchived", "partition") == {"0": 0}
    # The orders that are archived with them count as no fills.
    live.propose("AAA", trigger="position")
    live.trade(live.order("sell", 1))
    live.drain()
    assert Served(found.text()).of("mm_fills_unarchived", "partition") == {"0": 1}
    archivist.close()


def test_partitions(real_backend: Real) -> None:
    """Each partition has its own lag, lease and reservations; symbols are those of all."""
    system = Partitioned(real_backend, small_config(4, limit=40, partitions=2))
    system.round()
    for world in system.worlds:
        world.propose(world.names[0], bid_lots=5, ask_lots=5)
    one = system.worlds[1]
    one.send(one.order("buy", 2, symbol=one.names[0]))
    one.scripts.match(10)
    found = exporter_of(system.root)
    one.send(one.order("buy", 1, symbol=one.names[0]))
    one.scripts.match(10)
    found.sample()
    served = Served(found.text())
    assert served.of("mm_orders_total", "partition") == {"0": 0, "1": 2}
    assert served.of("mm_fills_waiting", "partition") == {"0": 0, "1": 2}
    assert served.of("mm_fills_unarchived", "partition") == {"0": 0, "1": 0}
    leases = served.of("mm_exposure_lease_units", "partition")
    assert list(leases.values()) == system.leased()
    assert served("mm_exposure_reserved_units", partition="0", budget="long") == 5
    assert served.of("mm_quote_active", "symbol").keys() == set(symbol_names(4))
    assert served("mm_order_report_seconds_count") == 1


def test_many_symbols_are_read_in_short_steps(
    real_backend: Real, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many symbols there are, one step reads few; all are served, and as they are."""
    monkeypatch.setattr(exporter, "MAX_SNAPSHOT", 5)
    world = World(real_backend, small_config(120, limit=5_000))
    for name in ("S50", "AAA"):
        world.propose(name)
        world.trade(world.order("sell", 3, symbol=name))
    world.scripts.commit(10)
    world.control("reducing", "S70")
    found = exporter_of(world)
    called: list[int] = []
    whole = Scripts.snapshot

    def snapshot(self: Scripts, recent: int = 0, max_symbols: int = 0) -> object:
        called.append(max_symbols)
        return whole(self, recent, max_symbols)

    monkeypatch.setattr(Scripts, "snapshot", snapshot)
    served = Served(found.text())
    assert called == [5]
    positions = served.of("mm_position", "symbol")
    assert positions == {name: 3.0 * (name in ("S50", "AAA")) for name in symbol_names(120)}
    assert served("mm_symbol_stopped", symbol="S70", why="reducing") == 1


def test_symbols_read_apart_are_those_of_the_snapshot(live: World) -> None:
    """The same records as in a snapshot, without the reservations; unknown symbols are left out."""
    live.trade(live.order("sell", 3))
    live.scripts.commit(10)
    live.control("reducing", "BBB", why="quiet")
    snapshot = take_snapshot(live.scripts)
    found = read_symbols(live.scripts, ["AAA", "BBB", "NONE"], snapshot.now_ms)
    assert found == {name: replace(one, reservation=None) for name, one in snapshot.symbols.items()}


def test_an_answer_is_good_for_a_moment(live: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many scrape at once, the system is read once in this time."""
    monkeypatch.setattr(exporter, "FRESH_S", 3_600.0)
    reads: list[int] = []
    gather = exporter.gather

    def counted(scripts: Scripts) -> object:
        reads.append(1)
        return gather(scripts)

    monkeypatch.setattr(exporter, "gather", counted)
    found = exporter_of(live)
    threads = [threading.Thread(target=found.text) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reads == [1]


def test_no_server(live: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a server, or without a system, the answer says so and is an answer all the same."""
    found = exporter_of(live)
    assert Served(found.text())("mm_system_up") == 1

    def refused(*_: object, **__: object) -> None:
        raise redis.ConnectionError("refused")

    with monkeypatch.context() as patch:
        patch.setattr(exporter, "take_snapshot", refused)
        served = Served(found.text())
        assert served("mm_system_up") == 0
        assert "mm_orders_total" not in served.kinds
        assert served("mm_latency_lost_total", until="quote") == 0
    live.client.flushall()
    assert Served(found.text())("mm_system_up") == 0


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library the error names what to install."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(UsageError, match="extra `serve`"):
        content_type()


def test_the_rights_of_a_viewer_are_enough(live: World) -> None:
    """A user who may only read gets the whole answer."""
    rules = acl_rules("viewer", "{mm}")
    execute(live.client, "ACL", "SETUSER", "onlooker", "reset", "on", "nopass", *rules)
    try:
        client = live.backend.client()
        client.connection_pool.connection_kwargs |= {"username": "onlooker", "password": "x"}
        found = Exporter(lambda: Scripts(client, Keys()))
        found.sample()
        trade(live, found)
        served = Served(found.text())
        assert served("mm_system_up") == 1
        assert served("mm_order_quote_seconds_count") == 1
    finally:
        execute(live.client, "ACL", "DELUSER", "onlooker")
