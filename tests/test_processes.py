"""The processes by their steps: any order, twice at once, dying, late, and on a real server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
import redis

from mm.errors import DurabilityRefused, ProposalRefused
from mm.maker import decide, owner
from mm.market import LIVE_MS
from mm.process import Process
from mm.store import Scripts, Survey, SurveyRow, execute
from tests.kit import (
    Backend,
    Dump,
    MakeWorld,
    World,
    assert_sound,
    fake_backend,
    small_config,
    wait_for,
)

Actions = dict[str, Callable[[], object]]


def market_keys(world: World) -> Dump:
    """Every key but those of the processes themselves."""
    return {key: value for key, value in world.dump().items() if ":process" not in key}


def trace(world: World) -> tuple[object, ...]:
    """What any effect changes: the cursors, the totals and queues, the number of quote events."""
    events = execute(world.client, "XLEN", world.keys.named("quotes"))
    return world.hash("cursors"), world.hash("exposure"), events


def converge(world: World, processes: list[Process], most: int = 20) -> None:
    """Step every process until nothing changes, then check that the system is as it should be."""
    for _ in range(most):
        before = trace(world)
        for process in processes:
            process.step()
        if trace(world) == before:
            break
    else:
        pytest.fail(f"not at rest after {most} rounds")
    assert_sound(world)
    for consumer, stream in (("exchange", "orders"), ("state", "fills")):
        entries = world.stream(stream)
        assert world.hash("cursors").get(consumer, "0-0") == (entries[-1][0] if entries else "0-0")
    for name, row in world.scripts.survey(world.names).rows.items():
        assert row.position_version == row.fill_seq
        assert row.waiting or row.quote_position_version == row.position_version, f"{name} stranded"


@pytest.mark.slow
class TestEveryOrder:
    """Steps in every order that a short scenario allows, each from a fresh world."""

    def run(self, order: tuple[str, ...], limit: int) -> tuple[dict[str, int], int, int]:
        """Two makers, two exchanges, two state services; the named actions in this order.

        Returns the positions, the number of fills and the number of reports at rest.
        """
        with fake_backend() as backend:
            world = World(backend, small_config(symbols=3, limit=limit))
            makers = [world.maker("1"), world.maker("2")]
            for maker in makers:
                maker.peers = ["maker-1", "maker-2"]
                maker.step()
            exchanges, states = [world.exchange("1"), world.exchange("2")], [world.state()]
            first = world.order("buy", 4, symbol="AAA", order_id="x")
            actions: Actions = {
                "m1": makers[0].step,
                "m2": makers[1].step,
                "x1": exchanges[0].step,
                "x2": exchanges[1].step,
                "s": states[0].step,
                "again": lambda: world.send(first),
                "late": lambda: world.advance(world.config.quote_ttl_ms),
            }
            world.send(first, world.order("sell", 3, symbol="BBB"))
            for name in order:
                actions[name]()
            converge(world, [*makers, *exchanges, *states])
            positions = {name: world.position(name)["net_lots"] for name in world.names}
            return positions, len(world.fills()), len(world.reports())

    @pytest.mark.parametrize("other", ["x2", "again"])
    def test_with_room(self, other: str) -> None:
        """With exposure for all, the positions are the same whatever the order of the steps."""
        for order in permutations(("x1", "s", "m1", other)):
            found = self.run((*order, "again"), limit=40)
            reports = 4 if other == "again" else 3
            assert found == ({"AAA": -4, "BBB": 3, "CCC": 0}, 2, reports), order

    def test_with_a_limit_that_binds(self) -> None:
        """With too little exposure, and quotes expiring between any two steps, all stays sound."""
        for order in permutations(("x1", "s", "m2", "late")):
            self.run(order, limit=20)


class TestTwice:
    def test_two_exchanges(self, world: World) -> None:
        """Two exchanges at once share the work; no order is executed or answered twice."""
        first, second = world.exchange("1"), world.exchange("2")
        world.maker().step()
        for _ in range(4):
            world.send(world.order())
            first.step()
            second.step()
        assert (first.count, second.count) == (4, 0)
        world.send(world.order())
        second.step()
        first.step()
        assert second.count == 1
        assert len(world.reports()) == len(world.fills()) == 5
        world.drain()
        assert_sound(world)

    def test_two_state_services(self, world: World) -> None:
        """Two state services at once apply each fill once."""
        first, second = world.state("1"), world.state("2")
        world.maker().step()
        world.trade(world.order("buy", 1), world.order("sell", 2))
        second.step()
        first.step()
        assert (first.count, second.count) == (0, 2)
        assert world.position()["position_version"] == 2
        assert_sound(world)

    def test_in_parallel(self, make_world: MakeWorld) -> None:
        """Exchanges and state services of several threads leave one dense ledger, all applied."""
        world = make_world(limit=500, size=400, of_symbol={"position_limit_lots": 1000})
        if world.backend.is_fake:
            pytest.skip("fakeredis runs one command at a time anyway, and not across threads")
        world.maker().step()
        for number in range(200):
            world.send(world.order("buy" if number % 3 else "sell"))
        processes = [world.exchange("1"), world.exchange("2"), world.state("1"), world.state("2")]

        def work(process: Process) -> None:
            wait_for("the fills", lambda: process.step() or world_done())

        def world_done() -> bool:
            client = world.backend.client()
            version = client.hget(world.keys.member("position:*", "AAA"), "position_version")
            client.close()
            return version == b"200"

        threads = [threading.Thread(target=work, args=(process,)) for process in processes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(world.fills()) == len(world.reports()) == 200
        assert_sound(world)


class LossyScripts(Scripts):
    """Loses the reply of the next script after the server has run it."""

    lose = False

    def call(self, name: str, *args: str | int) -> Any:
        """Run it; raise as a lost connection would. A reader's reply is not lost."""
        reply = super().call(name, *args)
        if name in ("match", "commit"):
            self._lost()
        return reply

    def call_many(self, name: str, calls: Any) -> Any:
        """Run them; raise as a lost connection would."""
        reply = super().call_many(name, calls)
        if calls:
            self._lost()
        return reply

    def _lost(self) -> None:
        if self.lose:
            self.lose = False
            raise redis.exceptions.ConnectionError("the reply was lost")


class TestLostReplies:
    @pytest.mark.parametrize("kind", ["exchange", "state", "maker"])
    def test_lost_after_execution(self, world: World, kind: str) -> None:
        """A step whose reply was lost is done again by a fresh start, with no further effect."""
        world.maker().step()
        world.send(world.order("buy", 4), world.order("sell", 1, symbol="BBB"))
        if kind != "exchange":
            world.scripts.match(10)
        if kind == "maker":
            world.scripts.commit(10)
        process = getattr(world, kind)("1")
        lossy = LossyScripts(world.backend.client(), world.keys, shebang=world.backend.shebang)
        process.attach(lossy)
        process.reconcile_s = 0.0
        lossy.lose = True
        with pytest.raises(redis.exceptions.ConnectionError):
            process.step()
        before = market_keys(world)
        fresh = getattr(world, kind)("1")
        assert fresh.step() is False
        assert market_keys(world) == before, "the fresh start did something again"
        converge(world, [world.exchange(), world.state(), world.maker()])
        assert len(world.fills()) == len(world.reports()) == 2

    def test_each_process_dies_after_each_step(self, world: World) -> None:
        """Processes that are replaced by fresh ones after every single step lose nothing."""
        for number in range(6):
            world.send(world.order("buy" if number % 2 else "sell", 2))
            for make in (world.maker, world.exchange, world.state):
                make().step()
        converge(world, [world.exchange(), world.state(), world.maker()])
        assert len(world.reports()) == 6
        assert world.position()["position_version"] == len(world.fills()) == 6


class TestMakers:
    ROW = SurveyRow("AAA", 3, 5, False, 3, 0, 100, False, 3, 10_000)

    @pytest.mark.parametrize(
        ("changes", "servable", "trigger"),
        [
            ({}, False, None),
            ({"quote_position_version": 2}, False, "position"),
            ({"quote_expires_ms": 5_000}, False, "refresh"),
            ({"quote_expires_ms": 5_001}, False, None),
            ({"quote_position_version": -1, "quote_expires_ms": 0}, False, "expired"),
            (
                {"quote_position_version": -1, "quote_version": 0, "quote_expires_ms": 0},
                False,
                "bootstrap",
            ),
            ({"waiting": True}, False, None),
            ({"waiting": True}, True, "capacity"),
            ({"waiting": True, "quote_position_version": -1}, False, None),
            ({"waiting": True, "quote_position_version": -1}, True, "capacity"),
            ({"waiting": True, "quote_position_version": 2}, True, "position"),
            ({"fill_seq": 4}, True, None),
            ({"fill_seq": 4, "quote_position_version": -1}, False, None),
            ({"halted": True, "quote_position_version": -1}, True, None),
        ],
    )
    def test_decide(self, changes: dict[str, Any], servable: bool, trigger: str | None) -> None:
        """A quote is placed for one of the contract's reasons only, never while a fill is open."""
        row = replace(self.ROW, **changes)
        assert decide(row, servable, now_ms=0, refresh_ms=5_000) == trigger

    def test_owner(self) -> None:
        """Every symbol has one owner; when a maker dies only its own symbols move."""
        makers = ["maker-1", "maker-2", "maker-3"]
        symbols = [f"S{number}" for number in range(300)]
        before = {symbol: owner(symbol, makers) for symbol in symbols}
        assert set(before.values()) == set(makers)
        for symbol in symbols:
            assert owner(symbol, makers[::-1]) == before[symbol]
            after = owner(symbol, makers[:2])
            assert after == before[symbol] or before[symbol] == "maker-3"

    def test_triggers(self, make_world: MakeWorld) -> None:
        """Bootstrap, position, expired and refresh, each from its own cause."""
        world = make_world(quote_ttl_ms=400, refresh_ms=150)
        maker = world.maker()
        maker.step()
        assert [event["trigger"] for event in world.events()] == ["bootstrap", "bootstrap"]
        world.trade(world.order("sell", 2))
        world.drain()
        maker.step()
        assert world.events()[-1]["trigger"] == "position"
        assert world.events()[-1]["position_version"] == "1"
        world.advance(260)
        maker.step()
        assert world.events("AAA")[-1]["trigger"] == "refresh"
        world.advance(400)
        world.scripts.expire()
        maker.step()
        assert world.events("BBB")[-1]["trigger"] == "expired"
        assert_sound(world)

    def test_raw_fill_is_no_trigger(self, world: World) -> None:
        """A fill that is not committed makes no maker move."""
        maker = world.maker()
        maker.step()
        world.trade(world.order())
        before = market_keys(world)
        maker.step()
        maker.step()
        assert market_keys(world) == before

    def test_capacity(self, make_world: MakeWorld) -> None:
        """A symbol that waits is quoted when exposure becomes free."""
        world = make_world(symbols=3)
        maker = world.maker()
        maker.step()
        assert world.quote_lots("CCC") is None
        world.trade(world.order("buy", 4))
        maker.step()
        assert world.quote_lots("CCC") == (0, 4)
        assert world.events("CCC")[-1]["trigger"] == "capacity"

    def test_waiting_first(self, world: World) -> None:
        """Proposals for those who wait come first, in their order, then the others."""
        rows = {name: replace(self.ROW, symbol=name) for name in ("AAA", "BBB")}
        rows["AAA"] = replace(rows["AAA"], quote_position_version=2)
        rows["BBB"] = replace(rows["BBB"], waiting=True)
        found = world.maker().proposals(Survey(0, rows, ["BBB"]))
        assert [(one.symbol, one.trigger) for one in found] == [
            ("BBB", "capacity"),
            ("AAA", "position"),
        ]

    def test_share_the_work(self, make_world: MakeWorld) -> None:
        """Two live makers handle each trigger once."""
        world = make_world(symbols=6, limit=100)
        makers = [world.maker("1"), world.maker("2")]
        for maker in (*makers, *makers):
            maker.beat()
        for maker in makers:
            maker.step()
        assert sum(maker.count for maker in makers) == 6
        assert all(maker.count > 0 for maker in makers)
        assert {event["maker_id"] for event in world.events()} == {"maker-1", "maker-2"}

    def test_takeover(self, make_world: MakeWorld) -> None:
        """When a maker's heartbeat goes stale the other takes over its symbols."""
        world = make_world(symbols=6, limit=100)
        dead, alive = world.maker("1"), world.maker("2")
        for maker in (dead, alive, dead):
            maker.beat()
        alive.step()
        assert 0 < len(world.events()) < 6
        world.advance(LIVE_MS + 1)
        alive.beat()
        alive.step()
        assert len(world.events()) == 6
        assert {event["maker_id"] for event in world.events()} == {"maker-2"}

    def test_lost_messages(self, make_world: MakeWorld) -> None:
        """A maker that missed every message still finds what to do when it looks by itself."""
        world = make_world()
        maker = world.maker()
        maker.step()
        world.trade(world.order("sell", 2))
        world.drain()
        execute(world.client, "DEL", world.keys.named("positions"), world.keys.named("quotes"))
        maker.step()
        row = world.scripts.survey(["AAA"]).rows["AAA"]
        assert row.quote_position_version == row.position_version == 1

    def test_same_quote_on_any_machine(self, make_world: MakeWorld) -> None:
        """Two makers that look at the same state propose the same prices."""
        world = make_world(of_symbol={"skew_ticks": 7})
        world.maker().step()
        world.trade(world.order("sell", 9))
        world.drain()
        survey = world.scripts.survey(["AAA"])
        first, second = (world.maker(ident).proposals(survey)[0] for ident in "12")
        assert first.prices == second.prices


class TestExpiry:
    def test_exchange_ends_quotes(self, make_world: MakeWorld) -> None:
        """The exchange's own step releases and announces what is past its deadline."""
        world = make_world(quote_ttl_ms=150, refresh_ms=1)
        exchange = world.exchange()
        world.maker().step()
        world.advance(150)
        exchange.step()
        assert [event["event"] for event in world.events()[-2:]] == ["expired", "expired"]
        assert world.reserved() == (0, 0)
        assert_sound(world)


class TestStaleProposals:
    def fill(self, world: World) -> None:
        world.trade(world.order("buy", 2))

    def commit(self, world: World) -> None:
        self.fill(world)
        world.scripts.commit(10)

    def requote(self, world: World) -> None:
        world.propose("AAA")

    def requote_after_commit(self, world: World) -> None:
        self.commit(world)
        world.propose("AAA")

    def omit(self, world: World) -> None:
        world.propose("AAA", bid_lots=0, ask_lots=0)

    def expire_and_requote(self, world: World) -> None:
        world.advance(world.config.quote_ttl_ms)
        world.scripts.expire()
        world.propose("AAA")

    def halt(self, world: World) -> None:
        execute(world.client, "XADD", world.keys.named("fills"), "*", "AAA-9", "x")
        world.scripts.commit(10)

    @pytest.mark.parametrize(
        ("action", "code"),
        [
            ("fill", "UNCOMMITTED_FILLS"),
            ("commit", "STALE_POSITION"),
            ("requote", "STALE_QUOTE"),
            ("requote_after_commit", "STALE_POSITION"),
            ("omit", "STALE_QUOTE"),
            ("expire_and_requote", "STALE_QUOTE"),
            ("halt", "HALTED"),
        ],
    )
    def test_delayed(self, make_world: MakeWorld, action: str, code: str) -> None:
        """A proposal delayed past any other action is refused by its rule and changes nothing."""
        world = make_world(quote_ttl_ms=500, refresh_ms=450)
        world.maker().step()
        world.advance(60)
        survey = world.scripts.survey(["AAA"])
        (stale,) = world.maker().proposals(survey)
        getattr(self, action)(world)
        before = world.dump()
        with pytest.raises(ProposalRefused) as caught:
            world.scripts.place(stale)
        assert caught.value.code == code
        assert world.dump() == before

    def test_zombie(self, make_world: MakeWorld) -> None:
        """A maker that slept past its quote's life and wakes with an old proposal is refused."""
        world = make_world(quote_ttl_ms=300, refresh_ms=250)
        zombie, other = world.maker("1"), world.maker("2")
        zombie.step()
        world.advance(60)
        old = zombie.proposals(world.scripts.survey(world.names))
        assert len(old) == 2
        world.advance(300)
        other.step()
        results = world.scripts.place_many(old)
        assert {getattr(one, "code", "placed") for one in results} == {"STALE_QUOTE"}
        assert {event["maker_id"] for event in world.events()[-2:]} == {"maker-2"}


@pytest.mark.server
class TestRunning:
    """The loops themselves, on real servers."""

    @pytest.fixture(params=["valkey", "redis"])
    def live(self, request: pytest.FixtureRequest) -> World:
        """A world on a real server."""
        backend: Backend = request.getfixturevalue(request.param)
        return World(backend, small_config(quote_ttl_ms=1000, refresh_ms=300))

    @pytest.fixture
    def running(self, live: World) -> Iterator[list[Process]]:
        """One process of each kind, looping in a thread; stopped in order at the end."""
        stop = threading.Event()
        processes: list[Process] = [live.exchange(), live.state(), live.maker()]
        for process in processes:
            process.close()
        threads = [threading.Thread(target=one.run, args=(stop,)) for one in processes]
        for thread in threads:
            thread.start()
        yield processes
        stop.set()
        for thread in threads:
            thread.join()
        assert live.ranked("processes") == {}, "a process left without a farewell"

    def test_trades(self, live: World, running: list[Process]) -> None:
        """Three loops quote, match, commit and quote again from the new position."""
        wait_for("a quote", lambda: live.quote_lots("AAA"))
        order = live.order("sell", 3)
        live.send(order)
        wait_for("the report", live.reports)
        assert live.report(order).status == "filled"
        wait_for("the committed position", lambda: live.position()["net_lots"] == 3)
        wait_for(
            "a quote from it",
            lambda: live.hash("quote:*", "AAA").get("position_version") == "1",
        )
        assert len(running) == 3

    def test_expiry_in_time(self, live: World, running: list[Process]) -> None:
        """With nobody to refresh it a quote is released within a second of its expiry."""
        wait_for("a quote", lambda: live.quote_lots("AAA"))
        execute(live.client, "HSET", live.keys.member("symbol:*", "AAA"), "halted", "by hand")
        expired = wait_for(
            "the expiry",
            lambda: [event for event in live.events("AAA") if event["event"] == "expired"],
        )
        assert int(expired[0]["ts_ms"]) <= int(expired[0]["expires_ms"]) + 1000
        assert len(running) == 3

    def test_blocked_step(self, live: World) -> None:
        """An order wakes the exchange inside the very step that waits for it."""
        exchange = live.exchange()
        exchange.step()
        thread = threading.Thread(target=exchange.step, args=(9_000,))
        thread.start()
        wait_for("the wait", lambda: live.client.info("clients")["blocked_clients"] == 1)
        live.send(live.order())
        thread.join()
        assert exchange.count == 1

    def test_reconnects(self, live: World, caplog: pytest.LogCaptureFixture) -> None:
        """Failing connections are retried until one stands; the log names each attempt."""
        caplog.set_level("INFO", "mm.state-1")
        failures = iter([redis.exceptions.ConnectionError("no"), OSError("no"), None])

        def connect() -> redis.Redis:
            failure = next(failures, None)
            if failure is not None:
                raise failure
            return live.backend.client()

        state = live.state()
        state.close()
        state._connect = connect
        stop = threading.Event()
        thread = threading.Thread(target=state.run, args=(stop,))
        thread.start()
        wait_for("a heartbeat", lambda: live.ranked("processes"))
        stop.set()
        thread.join()
        assert next(failures, "none left") == "none left"
        retries = [line for line in caplog.messages if line.startswith("retry action=connect")]
        assert ["attempt=1 " in retries[0], "attempt=2 " in retries[1]] == [True, True]
        assert all(", for ever: " in line for line in retries)
        assert "recovered after 2 retries" in caplog.messages

    def test_survives_script_flush(self, live: World) -> None:
        """A server that has forgotten the scripts is taught them again, mid-stream."""
        exchange, maker = live.exchange(), live.maker()
        maker.step()
        execute(live.client, "SCRIPT", "FLUSH")
        live.send(live.order())
        exchange.step(100)
        execute(live.client, "SCRIPT", "FLUSH")
        results = live.scripts.place_many([live.proposal("BBB"), live.proposal("ZZZ")])
        assert [type(one).__name__ for one in results] == ["Placement", "ProposalRefused"]
        assert live.reports()[0].status == "filled"

    @pytest.mark.parametrize(
        ("name", "weak", "good"),
        [
            ("appendfsync", "everysec", "always"),
            ("no-appendfsync-on-rewrite", "yes", "no"),
            ("maxmemory-policy", "allkeys-lru", "noeviction"),
        ],
    )
    def test_weak_server_is_refused(self, live: World, name: str, weak: str, good: str) -> None:
        """A server that does not keep what it acknowledges is refused, also when switched later."""
        state = live.state()
        state.open()
        execute(live.client, "CONFIG", "SET", name, weak)
        try:
            with pytest.raises(DurabilityRefused, match=weak):
                live.exchange().open()
            with pytest.raises(DurabilityRefused, match=weak):
                for _ in range(8):
                    state.beat()
        finally:
            execute(live.client, "CONFIG", "SET", name, good)
        state.close()
