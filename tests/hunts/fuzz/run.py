"""Fuzzing of orders, tapes, configurations and command lines: nothing may crash or get stuck.

``scripts/fuzz`` runs the long version, ``test_fuzz`` a short one of the same. Every case has a
number, and its generator is seeded with seed, kind and number. A failure names the command that
plays it again.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

from mm.errors import MMError, UsageError
from mm.market import REASONS, Config, Report, config_toml, load_config
from mm.market.config_file import parse_config
from mm.orders import config_of_tape, read_tape, tape_orders
from mm.store import Keys, execute, text
from tests.hunts.fuzz.commands import STARTERS, Stage, command_case, inside
from tests.hunts.fuzz.inputs import FILES, Records, bad_record, order_entry, rng_for
from tests.kit import World, assert_sound, small_config
from tests.kit.backends import Backend, Real, Server, server_binary
from tests.kit.rubbish import ID, judge, state_of

#: Order entries between two looks at everything.
BATCH = 100
CLIENTS = [f"c{number}" for number in range(5)]


@contextmanager
def replayable(kind: str, seed: int, number: int) -> Iterator[None]:
    """Add the command that plays a failed case again to its error."""
    try:
        yield
    except Exception as error:
        error.add_note(f"play it again: scripts/fuzz --kind {kind} --seed {seed} --case {number}")
        raise


# --- the order stream


@dataclass
class Orders:
    """An order stream under fuzz: what was sent, and what must follow.

    ``counts`` has the records sent by what they are worth: good, unknown or bad.
    """

    world: World
    sent: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    _first: dict[tuple[bytes, bytes], tuple[bytes, bool]] = field(default_factory=dict)
    _cursors: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.exchange, self.state = self.world.exchange(), self.world.state()
        self.maker = self.world.maker()
        self.maker.step()

    def play(self, entries: Iterable[Records]) -> None:
        """Send the entries, match them, and check the cursor and every answer."""
        world, expected = self.world, dict[str, list[tuple[str, bool, bool]]]()
        dead, harmless, end = 0, True, world.cursor("exchange")
        letters = execute(world.client, "XLEN", world.keys.named("deadletter"))
        before = state_of(world)
        for records in entries:
            self.sent += len(records)
            for name, line in records:
                sender, worth = judge(name, line)
                harmless = harmless and worth != "good"
                key = (sender, name) if sender and ID.fullmatch(name) else None
                content, new = line.partition(b" ")[2][:200], key not in self._first
                first, rejected = content, worth != "good"
                if key:
                    first, rejected = self._first.setdefault(key, (content, rejected))
                again, conflict = not new and first == content, first != content
                rejected = rejected or conflict
                dead += worth == "bad" or conflict or (worth == "unknown" and new)
                self.counts[worth] += 1
                if sender:
                    answer = (name.decode() if key else "-", rejected, again)
                    expected.setdefault(sender.decode(), []).append(answer)
            end = world.send_raw(*(word for record in records for word in record))
        while self.exchange.step():
            pass
        assert world.cursor("exchange") == end, "stuck cursor"
        assert world.hash("cursors").get("exchange_records", "0") == str(self.sent)
        for client, wanted in expected.items():
            assert self._answers(client) == wanted, f"the answers to {client}"
        now = execute(world.client, "XLEN", world.keys.named("deadletter"))
        assert now - letters == dead, "dead letters"
        if harmless:
            assert state_of(world) == before, "rubbish changed the market"
        self.state.step()
        self.maker.step()

    def _answers(self, client: str) -> list[tuple[str, bool, bool]]:
        """The new reports of a client: order id, whether rejected, whether a duplicate."""
        key = self.world.keys.member("reports:*", client)
        after = self._cursors.get(client, "-")
        found = []
        for entry, fields in execute(self.world.client, "XRANGE", key, after, "+"):
            self._cursors[client] = f"({text(entry)}"
            for name, line in fields.items():
                report = Report.parse(text(name), text(line))
                assert report.reason == "" or report.reason in REASONS
                found.append((report.order_id, report.status == "rejected", report.duplicate))
        return found

    def finish(self) -> None:
        """Let everything settle; every invariant holds."""
        self.world.drain()
        assert_sound(self.world)


def fuzz_config() -> Config:
    """Two symbols with room, and streams that keep all that a run sends."""
    return small_config(
        *(2, 5000, 2000),
        of_symbol={"position_limit_lots": 4000},
        keep_reports=10**9,
        keep_deadletters=10**9,
        quote_ttl_ms=3_600_000,
    )


def fuzz_orders(world: World, seed: int, entries: int) -> Counter[str]:
    """Send that many entries in batches, every second batch of nothing but rubbish."""
    orders = Orders(world)
    for number in range(-(-entries // BATCH)):
        rng = rng_for(seed, "orders", number)
        batch = [order_entry(rng) for _ in range(min(BATCH, entries - number * BATCH))]
        if number % 2:
            batch = [[bad_record(rng)] for _ in batch]
        with replayable("orders", seed, number):
            orders.play(batch)
            if number % 200 == 199:
                orders.finish()
    orders.finish()
    return orders.counts


# --- files


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory for what the cases write."""
    with tempfile.TemporaryDirectory(prefix="mm-") as name:
        yield Path(name)


def judge_tape(data: bytes, directory: Path) -> str:
    """Read a tape as the publisher does: used, or refused with the file's name."""
    path = directory / "tape.csv"
    path.write_bytes(data)
    try:
        found = read_tape(path)
        config = config_of_tape(found)
        intents = tape_orders(found, config)
    except UsageError as error:
        assert "tape.csv" in str(error), str(error)
        return "refused"
    assert len(intents) == len(found.trades)
    for number, (trade, intent) in enumerate(zip(found.trades, intents, strict=True)):
        symbol = config.symbol(trade.symbol)
        order = intent.order("c1", f"o{number}")
        assert order.qty_lots * symbol.lot == trade.qty
        assert order.limit_ticks * symbol.tick == trade.price
    assert parse_config(config_toml(config)) == config
    return "used"


def judge_config(data: bytes, directory: Path, backend: Backend | None = None) -> str:
    """Load a configuration: refused with the file's name, or the same again when written out.

    With a backend an accepted one must also run: it is set up there, quoted and traded.
    """
    path = directory / "mm.toml"
    path.write_bytes(data)
    try:
        config = load_config(path)
    except MMError as error:
        assert "mm.toml" in str(error), str(error)
        return "refused"
    assert parse_config(config_toml(config)) == config
    if backend is not None and len(config.symbols) < 50:
        run_briefly(backend, config)
        return "ran"
    return "used"


def run_briefly(backend: Backend, config: Config) -> None:
    """Set the system up under a prefix of its own, quote, trade each symbol, and audit it."""
    world = World(backend, config, Keys("{fuzz}"))
    try:
        maker = world.maker()
        maker.step()
        maker.step()
        for symbol in config.symbols:
            world.send(world.order("buy", 1, symbol=symbol.name, limit=2**53 - 1))
            world.send(world.order("sell", 1, symbol=symbol.name, limit=1))
        world.drain()
        maker.step()
        assert_sound(world, quotes=False)
    finally:
        for key in execute(world.client, "KEYS", "{fuzz}:*"):
            world.client.delete(key)


#: An accepted configuration in so many is also run.
RUN_EVERY = 6


def fuzz_files(
    kind: str, seed: int, cases: Iterable[int], backend: Backend | None = None
) -> Counter[str]:
    """Play these cases of tapes or configurations."""
    counts = Counter[str]()
    with scratch() as directory:
        for number in cases:
            data = FILES[kind](rng_for(seed, kind, number))
            with replayable(kind, seed, number):
                if kind == "tape":
                    counts[judge_tape(data, directory)] += 1
                else:
                    runs = backend if number % RUN_EVERY == 0 else None
                    counts[judge_config(data, directory, runs)] += 1
    return counts


# --- Hypothesis: the same checks over inputs that shrink


def explore(check: Callable[..., None], number: int, examples: int, *inputs: object) -> None:
    """Run a check over that many examples, from a seed; a failure is shown shrunk."""
    strategies = [one for one in inputs if isinstance(one, st.SearchStrategy)]
    quiet = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        print_blob=True,
        verbosity=Verbosity.normal,
        phases=[Phase.generate, Phase.target, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    click.echo(f"hypothesis seed {number}: {check.__name__}, {examples} examples")
    seed(number)(quiet(given(*strategies)(check)))()


_WORD = st.one_of(
    st.binary(max_size=20),
    st.text(max_size=10).map(lambda word: word.encode("utf-8", "surrogatepass")),
    st.integers().map(lambda number: b"%d" % number),
    st.sampled_from([b"c1", b"AAA", b"buy", b"sell", b"1", b"100"]),
)
_LINE = st.one_of(st.binary(max_size=100), st.lists(_WORD, max_size=7).map(b" ".join))
RECORDS = st.lists(st.tuples(_WORD, _LINE), min_size=1, max_size=5)
_VALUE = st.one_of(st.text(max_size=20), st.decimals().map(str), st.integers().map(str))
TAPE = st.one_of(
    st.binary(max_size=400),
    st.lists(st.lists(_VALUE, min_size=4, max_size=6).map(",".join), max_size=6).map(
        lambda rows: "\n".join(["ts_ms,symbol,side,price,qty", *rows]).encode("utf-8", "replace")
    ),
    st.randoms(use_true_random=False).map(FILES["tape"]),
)
TOML = st.one_of(
    st.binary(max_size=400),
    st.text(max_size=200).map(lambda words: words.encode("utf-8", "replace")),
    st.randoms(use_true_random=False).map(FILES["config"]),
)


def explore_orders(world: World, number: int, examples: int) -> None:
    """Single entries of arbitrary bytes: each is answered, and none stops the stream."""
    orders = Orders(world)

    def one_entry(records: Records) -> None:
        orders.play([records])

    explore(one_entry, number, examples, RECORDS)
    orders.finish()


def explore_files(number: int, examples: int) -> None:
    """Arbitrary tapes and configurations, each used or refused."""
    with scratch() as directory:

        def one_tape(data: bytes) -> None:
            judge_tape(data, directory)

        def one_config(data: bytes) -> None:
            judge_config(data, directory)

        explore(one_tape, number, examples, TAPE)
        explore(one_config, number, examples, TOML)


def explore_commands(stage: Stage, number: int, examples: int) -> None:
    """Arbitrary words behind each command; its own options with arbitrary values."""
    words = st.lists(st.one_of(st.text(max_size=12), st.sampled_from(stage.words())), max_size=5)

    names = st.sampled_from(sorted(set(stage.commands) - set(STARTERS)))

    def one_command(name: str, given_words: list[str]) -> None:
        stage.run([*name.split()[1:], *filter(inside, given_words)])

    explore(one_command, number, examples, names, words)


# --- command lines


def fuzz_commands(stage: Stage, seed: int, cases: Iterable[int]) -> Counter[str]:
    """Play these command lines in this process; the system that they meet stays sound."""
    counts = Counter[str]()
    for number in cases:
        rng = rng_for(seed, "command", number)
        with replayable("command", seed, number):
            words, status = command_case(rng, stage)
            found = stage.run(words)
            assert status is None or found in status, f"exit {found}, not {status}: mm {words!r}"
            counts[f"exit {found}"] += 1
            if number % 1000 == 999:
                stage.check()
    stage.check()
    return counts


def fuzz_processes(stage: Stage, seed: int, cases: Iterable[int]) -> Counter[str]:
    """Play these command lines as processes of their own: bytes in the arguments, real pipes."""
    counts = Counter[str]()
    for number in cases:
        with replayable("process", seed, number):
            rng = rng_for(seed, "process", number)
            words, status = command_case(rng, stage)
            found = stage.spawn(words)
            assert status is None or found in status, f"exit {found}, not {status}: mm {words!r}"
            counts[f"exit {found}"] += 1
    stage.check()
    return counts


# --- the long version

KINDS = ("orders", "tape", "config", "command", "process")


def main() -> None:
    """Run what the options ask for, and print the figures."""
    options = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    options.add_argument("--kind", choices=KINDS, help="only this kind")
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    options.add_argument("--case", type=int, help="play only the case of this number again")
    options.add_argument("--orders", type=int, default=100_000, help="order entries")
    options.add_argument("--cases", type=int, default=10_000, help="of each other kind")
    options.add_argument("--processes", type=int, default=100, help="commands as real processes")
    options.add_argument("--examples", type=int, default=2_000, help="of Hypothesis, each kind")
    options.add_argument("--server", choices=["valkey", "redis"], default="valkey")
    given_options = options.parse_args()
    click.echo(f"seed {given_options.seed}")
    binary = server_binary(given_options.server)
    if binary is None:
        sys.exit(f"no {given_options.server} server on this machine")
    server = Server(binary)
    try:
        for kind in KINDS:
            if given_options.kind in (None, kind):
                run_kind(kind, Real(given_options.server, server), given_options)
    finally:
        server.stop()


def run_kind(kind: str, backend: Real, options: argparse.Namespace) -> None:
    """Run one kind at its full length, or its one case, and print the figures."""
    began, number = time.monotonic(), options.seed
    lengths = {"orders": options.orders, "process": options.processes}
    cases: Iterable[int] = range(lengths.get(kind, options.cases))
    explored = options.examples if options.case is None else 0
    if options.case is not None:
        cases = [options.case]
    if kind == "orders":
        # A batch depends on those before it: all of them are played again up to that one.
        entries = options.orders if options.case is None else (options.case + 1) * BATCH
        counts = fuzz_orders(World(backend, fuzz_config()), number, entries)
        if explored:
            again = World(Real(backend.name, backend.server), fuzz_config())
            explore_orders(again, number, explored)
        count = entries
    elif kind in FILES:
        counts = fuzz_files(kind, number, cases, backend)
        if explored and kind == "config":
            explore_files(number, explored)
        count = sum(counts.values())
    else:
        with Stage.on(backend) as stage:
            play = fuzz_commands if kind == "command" else fuzz_processes
            counts = play(stage, number, cases)
            if explored and kind == "command":
                explore_commands(stage, number, explored)
        count = sum(counts.values())
    figures = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    took = time.monotonic() - began
    click.echo(f"{kind}: {count} on {backend.name} in {took:.0f} s: {figures}")


if __name__ == "__main__":
    main()
