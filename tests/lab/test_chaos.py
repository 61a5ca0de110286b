"""`mm chaos`: its plan replays, its proxy harms on demand, its checks find what is wrong."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from mm.lab.chaos.check import Sender, compare, why_not_converged
from mm.lab.chaos.plan import CALLS, KINDS, PROCESSES, PROXIED, TTL_MS, FaultEvent, plan_rounds
from mm.lab.chaos.proxy import Fault, Kind, Link, message_end
from mm.lab.chaos.show import Round, percentile
from mm.market import Order
from mm.orders import FlowOptions, Journal, OrderClient, read_journal
from mm.store import execute, script_names, take_snapshot
from tests.kit import Fake, World, server_binary, short_directory, small_config, wait_for
from tests.kit.commands import MM

FLOW = FlowOptions(rate_per_s=0, seed=5)
ORDERS = 30


# --- the plan


def plan(seed: int, count: int) -> list[list[FaultEvent]]:
    """The faults of the first rounds."""
    return list(islice(plan_rounds(seed), count))


def test_a_seed_replays_its_faults() -> None:
    """The same seed plans the same faults, another seed others."""
    assert plan(7, 200) == plan(7, 200)
    assert plan(7, 200) != plan(8, 200)


def test_every_kind_comes_once_before_one_comes_again() -> None:
    """As many rounds as there are kinds hold each kind, whatever the seed."""
    for seed in range(20):
        first = [faults[0].kind for faults in plan(seed, 2 * len(KINDS))]
        assert sorted(first[: len(KINDS)]) == sorted(first[len(KINDS) :]) == sorted(KINDS)


def test_faults_make_sense() -> None:
    """Stops outlive a quote; the proxy's faults name processes behind it and calls they make."""
    for fault in (one for faults in plan(3, 2000) for one in faults):
        if fault.kind == "stop-process":
            assert fault.target in PROCESSES and fault.hold_ms > TTL_MS
        if fault.call:
            assert fault.target in PROXIED
            assert fault.call in CALLS[fault.target.partition("-")[0]]
            assert fault.call.isupper() or fault.call in script_names()
        assert len(fault.percents) == {"kill-loading": 2, "kill-rewriting": 1}.get(fault.kind, 0)


def test_percentiles_are_of_the_values() -> None:
    """A percentile is the smallest value that so many percent do not exceed."""
    assert [percentile(range(1, 101), p) for p in (50, 99, 100)] == [50, 99, 100]
    assert percentile([], 50) == 0 and percentile([7], 99) == 7


def test_a_line_names_what_missed() -> None:
    """The line of a round says which fault was not applied, and whether a rule broke."""
    fault = FaultEvent("stop-server", "server", 10, 200)
    assert Round(3, [fault], [False], 12).line() == (
        "round 3: stop-server server 200 ms (missed): converged in 12 ms"
    )
    assert Round(3, [fault], violated=True).line().endswith("VIOLATION")


# --- the proxy


@pytest.mark.parametrize(
    "message",
    [
        b"+OK\r\n",
        b":12\r\n",
        b"$-1\r\n",
        b"*-1\r\n",
        b"*0\r\n",
        b"$5\r\na\r\nbc\r\n",
        b"*2\r\n$4\r\nPING\r\n$0\r\n\r\n",
        b"*2\r\n*2\r\n:1\r\n$-1\r\n*1\r\n*1\r\n+x\r\n",
    ],
)
def test_a_message_ends_at_its_last_byte(message: bytes) -> None:
    """Any shorter piece of a message is incomplete, and what follows it is not touched."""
    assert message_end(message + b"+more\r\n") == len(message)
    assert message_end(b"+before\r\n" + message, 9) == 9 + len(message)
    assert {message_end(message[:cut]) for cut in range(len(message))} == {-1}


def request(word: str) -> bytes:
    """A command of one word."""
    return f"*1\r\n${len(word)}\r\n{word}\r\n".encode()


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def through_proxy(fault: Fault, talk: Talk) -> tuple[list[str], list[int]]:
    """Talk to an echoing server through a link with one fault: what it got, and the hits.

    SKIP has no reply, nor has the request after it.
    """
    got: list[str] = []
    hits: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silent = 0
        while line := await reader.readline():
            if line[:1] in (b"*", b"$"):
                continue
            got.append(line.decode().strip())
            silent = 2 if got[-1] == "SKIP" else silent
            if silent:
                silent -= 1
            else:
                writer.write(b"+" + line)
        writer.close()

    async def scene(directory: Path) -> None:
        server = await asyncio.start_unix_server(serve, directory / "s")
        link = Link(directory / "s", hits.append)
        link.faults.append(fault)
        proxy = await asyncio.start_unix_server(link.serve, directory / "p")
        async with server, proxy:
            reader, writer = await asyncio.open_unix_connection(directory / "p")
            await asyncio.wait_for(talk(reader, writer), 10)
            writer.close()
            until = time.perf_counter() + 10
            while not hits and time.perf_counter() < until:
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.02)

    with short_directory() as directory:
        asyncio.run(scene(directory))
    return got, hits


@pytest.mark.parametrize(
    ("kind", "got", "sent_back"),
    [
        ("request", ["A", "X"], b"+A\r\n+X\r\n"),
        ("reply", ["A", "X", "X"], b"+A\r\n+X\r\n"),
        ("connection", ["A", "X", "X"], b"+A\r\n+X\r\n+X"),
    ],
)
def test_the_proxy_loses_what_is_demanded(kind: Kind, got: list[str], sent_back: bytes) -> None:
    """The second X is lost on its way, or its reply is, or half of it; then the link is cut."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answered = b""
        for word in ("A", "X", "X"):
            writer.write(request(word))
            answered += await reader.read(100)
        assert answered + await reader.read() == sent_back

    assert through_proxy(Fault(9, kind, b"X", 1, 0), talk) == (got, [9])


@pytest.mark.parametrize(("only", "sent_back"), [(b"Z", b"+A\r\n+Y\r\n"), (b"X", b"+A\r\n")])
def test_the_proxy_knows_which_request_has_no_reply(only: bytes, sent_back: bytes) -> None:
    """The command before X takes its reply away, so X's fault is applied to the reply of Y."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for word in ("A", "SKIP", "X", "Y", "Z"):
            writer.write(request(word))
        assert await reader.read() == sent_back

    got, hits = through_proxy(Fault(9, "reply", only, 0, 0), talk)
    assert (got, hits) == (["A", "SKIP", "X", "Y", "Z"], [9])


def test_the_proxy_delivers_late_though_the_sender_is_gone() -> None:
    """A request held back reaches the server after its sender has closed: the zombie's proposal."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(request("LATE"))
        await writer.drain()

    assert through_proxy(Fault(4, "delay", b"LATE", 0, 0.05), talk) == (["LATE"], [4])


# --- the judgement


class Traded:
    """A small world in which one publisher's orders were traded and journaled."""

    def __init__(self, fake: Fake, directory: Path) -> None:
        self.world = World(fake, small_config(2, size=40, limit=100))
        self.sender = Sender(directory / "journal", self.world.config.symbols, FLOW)
        self.sent = [self.order(number) for number in range(1, ORDERS + 1)]
        exchange, state, maker = self.world.exchange(), self.world.state(), self.world.maker()
        client = OrderClient(self.world.backend.client(), self.world.keys, "p1")
        book = Journal(self.sender.journal)
        for number, order in enumerate(self.sent):
            if number % 8 == 0:
                # Once to learn where the streams end, once to quote.
                maker.step()
                maker.step()
            client.send([order])
            exchange.step()
            state.step()
            book.write(client.trade([]))
        book.close()

    def order(self, number: int) -> Order:
        """The order that the flow makes under this number."""
        order = self.sender.sent("p1", f"run-{number}")
        assert order is not None
        return order

    def found(self) -> list[str]:
        """The violations."""
        return compare(self.world.scripts, {"p1": self.sender}).violations

    def change(self, stream: str, skip: int, old: str, new: str) -> None:
        """Rewrite a stream with one of its records changed, or left out if ``new`` is empty."""
        key = self.world.keys.named(stream)
        if stream == "reports:*":
            key = self.world.keys.member(stream, "p1")
        client = self.world.client
        records = self.world.records("reports:*", "p1") if ":" in stream else []
        records = records or self.world.records(stream)
        found = [record for record in records if old in " ".join(record)][skip]
        client.delete(key)
        for record in records:
            changed = " ".join(record).replace(old, new, 1) if record is found else " ".join(record)
            if new or record is not found:
                execute(client, "XADD", key, "*", *changed.split(" ", 1))

    def add(self, stream: str, name: str, line: str) -> None:
        """Append a record."""
        key = self.world.keys.named(stream) if stream == "fills" else ""
        key = key or self.world.keys.member("reports:*", "p1")
        execute(self.world.client, "XADD", key, "*", name, line)

    def note(self, change: Callable[[list[str]], list[str]]) -> None:
        """Rewrite the journal."""
        lines = change(self.sender.journal.read_text().splitlines())
        self.sender.journal.write_text("".join(line + "\n" for line in lines))


@pytest.fixture
def traded(fake: Fake, tmp_path: Path) -> Traded:
    """Orders that filled, partly filled and did not, all acknowledged."""
    made = Traded(fake, tmp_path)
    statuses = {one.report.status for one in read_journal(made.sender.journal)}
    assert {"filled", "canceled"} <= statuses
    return made


def first_fill(traded: Traded) -> str:
    """A fill and its line, as the ledger has them."""
    return " ".join(traded.world.records("fills")[0])


def canceled(traded: Traded) -> str:
    """The id of an order that was canceled."""
    answers = read_journal(traded.sender.journal)
    return next(one.order.order_id for one in answers if one.report.status == "canceled")


def test_a_true_journal_agrees(traded: Traded) -> None:
    """Nothing is found where nothing is wrong, and everything is counted."""
    findings = compare(traded.world.scripts, {"p1": traded.sender})
    assert findings.violations == []
    counts = findings.counts
    assert (counts.orders, counts.acknowledged, counts.resends) == (ORDERS, ORDERS, 0)
    assert counts.fills == len(traded.world.fills())


def test_resends_and_duplicate_reports_are_no_violation(traded: Traded) -> None:
    """An order sent again has a second report that repeats the first, and is counted."""
    traded.world.trade(traded.sent[0], traded.sent[1])
    findings = compare(traded.world.scripts, {"p1": traded.sender})
    assert findings.violations == []
    assert (findings.counts.resends, findings.counts.duplicates) == (2, 2)


TAMPERING: dict[str, tuple[Callable[[Traded], None], str]] = {
    "a fill is gone": (
        lambda t: t.change("fills", 0, first_fill(t), ""),
        "the ledger has no fill of it",
    ),
    "a fill has another id": (lambda t: t.change("fills", 0, "AAA-1 ", "AAA-77 "), "ledger says"),
    "a fill is of another quote": (
        lambda t: t.change("fills", 0, "AAA-1 1", "AAA-9 1"),
        "ledger says",
    ),
    "a fill is of the other side": (
        lambda t: t.change("fills", 0, " buy ", " sell "),
        "is no fill of the order",
    ),
    "a fill without an order": (
        lambda t: t.add("fills", "AAA-99", f"buy 1 1 p1 run-{ORDERS + 9} AAA-1 1"),
        "was never sent",
    ),
    "a fill of nobody": (
        lambda t: t.add("fills", "AAA-99", "buy 1 1 p9 run-1 AAA-1 1"),
        "nobody sends the order",
    ),
    "a fill of a canceled order": (
        lambda t: t.add("fills", "AAA-99", f"buy 1 1 p1 {canceled(t)} AAA-1 1"),
        "canceled, but the ledger says",
    ),
    "an order filled twice": (
        lambda t: t.add("fills", "AAA-99", first_fill(t).split(" ", 1)[1]),
        "is filled twice",
    ),
    "rubbish in the ledger": (lambda t: t.add("fills", "AAA-99", "a b c"), "ledger: "),
    "a report is gone": (lambda t: t.change("reports:*", 0, "run-3 ", ""), "has no report"),
    "an outcome that changed": (
        lambda t: t.change("reports:*", 0, "canceled not_crossing", "canceled no_quote"),
        "but the first report says",
    ),
    "a duplicate that does not repeat": (
        lambda t: t.add("reports:*", "run-1", "canceled expired 0 - - - 1 9"),
        "reports: order p1/run-1",
    ),
    "a second outcome": (
        lambda t: t.add("reports:*", "run-1", "canceled expired 0 - - - 0 9"),
        "has two reports that are no duplicates",
    ),
    "an order that the flow does not make": (
        lambda t: t.note(
            lambda lines: [
                re.sub(r"^(run-2 p1 .* )\d+ (?=[fpcr])", r"\g<1>7 ", one) for one in lines
            ]
        ),
        "is not what the publisher sends",
    ),
    "acknowledged twice": (
        lambda t: t.note(lambda lines: [*lines, lines[4]]),
        "acknowledged twice",
    ),
    "acknowledged, not sent": (
        lambda t: t.note(
            lambda lines: [*lines, re.sub(r"^run-\d+", f"run-{ORDERS + 1}", lines[0])]
        ),
        "no report of it is left",
    ),
    "rubbish in the journal": (lambda t: t.note(lambda lines: ["what"]), "not an order"),
}


@pytest.mark.parametrize("what", TAMPERING)
def test_the_judgement_bites(traded: Traded, what: str) -> None:
    """Each way in which journal, ledger and reports can differ is found and named."""
    tamper, named = TAMPERING[what]
    assert traded.found() == []
    tamper(traded)
    assert any(named in one for one in traded.found()), traded.found()


def test_converged_means_quoted_and_drained(fake: Fake) -> None:
    """A reason is named while orders wait, or a symbol has no quote though exposure is free."""
    world = World(fake, small_config(3, size=10, limit=20))
    assert "has no quote" in why_not_converged(take_snapshot(world.scripts))
    for _ in range(3):
        world.maker().step()
        world.maker().act(world.scripts.survey(world.names))
    found = take_snapshot(world.scripts)
    assert why_not_converged(found) == "" and len(found.waiting_bid) == 1
    free = replace(found, exposure=replace(found.exposure, bid_units=19))
    assert "waits for" in why_not_converged(free)
    world.send(world.order())
    world.advance(5)
    assert "lag" in why_not_converged(take_snapshot(world.scripts))


# --- the command


#: Seeds whose first rounds hold every kind of fault between them.
ROUNDS, SEEDS = 6, {"valkey": 745, "redis": 3845}


def processes_with(word: str) -> list[str]:
    """The command lines of living processes that name it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in line:
            found.append(line)
    return found


class Run:
    """A `mm chaos` under way; ended, and its directories removed, at the end of the test."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.printed = ""

    def start(self, *arguments: str, command: Sequence[str] = (*MM, "chaos")) -> None:
        """Start the command."""
        self.process = subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1", "COLUMNS": "120"},
        )

    def read_until(self, word: str) -> str:
        """Read until a line has the word; that line."""
        assert self.process is not None and self.process.stdout is not None
        for line in self.process.stdout:
            self.printed += line
            if word in line:
                return line
        pytest.fail(f"it ended without saying {word!r}:\n{self.printed}")

    def end(self, timeout_s: float = 60) -> int:
        """Read to the end; the exit status."""
        assert self.process is not None
        self.printed += self.process.communicate(timeout=timeout_s)[0]
        return self.process.returncode

    @property
    def directories(self) -> list[Path]:
        """The data directories that it has named."""
        return [Path(path) for path in re.findall(r"data in (\S+)", self.printed)]

    def close(self) -> None:
        """End it if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.end()
        for path in self.directories:
            shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def run() -> Iterator[Run]:
    """A run that leaves nothing behind."""
    made = Run()
    yield made
    made.close()


def server_option(name: str) -> list[str]:
    """The options that choose the server; skips without it."""
    binary = server_binary("valkey" if name == "valkey" else "redis")
    if binary is None:
        if os.environ.get("CI"):
            pytest.fail(f"no {name} server on this machine, and CI must have one")
        pytest.skip(f"no {name} server on this machine")
    return ["--server", binary]


def assert_no_process(directory: Path) -> None:
    """No process of a system in this directory is left."""
    wait_for(f"the end of all on {directory}", lambda: not processes_with(directory.name))


def assert_nothing_left(run: Run) -> None:
    """No directory and no process of the run is left."""
    assert run.directories
    for path in run.directories:
        assert not path.exists()
        assert_no_process(path)


def test_the_short_runs_hold_every_kind_of_fault() -> None:
    """Between them the two short runs apply every kind at least once."""
    faults = [one for seed in SEEDS.values() for both in plan(seed, ROUNDS) for one in both]
    assert {one.kind for one in faults} == set(KINDS)


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.parametrize("name", SEEDS)
def test_a_short_run_finds_nothing(run: Run, name: str) -> None:
    """Every round converges, every audit and every comparison is clean, and nothing is left."""
    seed = SEEDS[name]
    run.start("--rounds", str(ROUNDS), "--seed", str(seed), *server_option(name))
    assert run.end() == 0, run.printed
    for number, faults in enumerate(plan(seed, ROUNDS), 1):
        assert f"round {number}: {faults[0].text()}" in run.printed
    assert f"{ROUNDS} of {ROUNDS} rounds" in run.printed
    assert f"no violation; seed {seed}" in run.printed
    orders = re.search(r"(\d+) orders, (\d+) fills, (\d+) acknowledged", run.printed)
    assert orders is not None and min(map(int, orders.groups())) > 0
    assert_nothing_left(run)


@pytest.mark.server
@pytest.mark.slow
def test_a_tampered_journal_ends_the_run_and_keeps_the_data(run: Run) -> None:
    """An acknowledged outcome that the ledger does not have: exit status 1, everything kept."""
    run.start("--rounds", "500", "--seed", "3")
    run.read_until("system 1")
    directory = run.directories[0]
    path = directory / "publisher-1.journal"
    wait_for("a journal", lambda: path.exists() and path.stat().st_size > 0, 30)
    with path.open("ab") as file:
        file.write(b"forged-1 publisher-1 AAPL buy 1 99999 filled - 1 99999 AAPL-9 AAPL-1 0 1\n")
    assert run.end() == 1, run.printed
    assert "VIOLATION: journal: order publisher-1/forged-1" in run.printed
    assert f"data and logs kept in {directory}" in run.printed
    assert (directory / "logs" / "server.log").exists()
    assert list(directory.glob("appendonlydir/*.aof"))
    assert_no_process(directory)


#: Runs the command with the repair of a torn log left out, and a seed that tears it at once.
UNREPAIRED = """
from mm.host import ManagedServer
from mm.cli import main
ManagedServer._repair = lambda self: None
main()
"""
TEARS_FIRST = 377


@pytest.mark.server
@pytest.mark.slow
def test_a_run_finds_what_redis_does_to_a_torn_log(run: Run) -> None:
    """Without the repair Redis brings a step to life that was never acknowledged: it is found."""
    assert [one.kind for one in plan(TEARS_FIRST, 1)[0]] == ["tear-log"]
    command = [sys.executable, "-c", UNREPAIRED, "chaos"]
    run.start("--rounds", "3", "--seed", str(TEARS_FIRST), *server_option("redis"), command=command)
    assert run.end() == 1, run.printed
    assert "VIOLATION: ledger-dense" in run.printed
    assert "nobody sends the order of" in run.printed


@pytest.mark.server
@pytest.mark.slow
def test_ctrl_c_ends_a_run_and_leaves_nothing(run: Run) -> None:
    """Stopped in the middle it says how far it came, and no process and no file stays."""
    run.start("--rounds", "500", "--seed", "4")
    run.read_until("round 1")
    assert run.process is not None
    run.process.send_signal(signal.SIGINT)
    assert run.end() == 0, run.printed
    assert "no violation (stopped early); seed 4" in run.printed
    assert_nothing_left(run)
