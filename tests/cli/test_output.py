"""What the commands print on any terminal, into any pipe, and of a server that is relaxed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mm.cli import main
from mm.exchange import Exchange
from mm.maker import Maker
from mm.state import StateService
from tests.kit import Real, World, small_config, wait_for
from tests.kit.commands import MM

pytestmark = pytest.mark.server

READING = {
    "status": ["status"],
    "positions": ["positions"],
    "quotes": ["quotes"],
    "exposure": ["exposure"],
    "audit": ["audit"],
    "explain": ["explain", "AAA"],
    "order": ["order", "AAA", "buy", "1", "2.00", "--timeout", "30"],
}
RELAXED = "durability RELAXED: acknowledged orders may be lost (appendfsync everysec)"
PLAIN = {"COLUMNS": "", "LC_ALL": "C.UTF-8", "TERM": "xterm", "PYTHONUTF8": "", "NO_COLOR": ""}


def quoted(backend: Real) -> World:
    """A system with quotes and a fill, in which no process runs."""
    made = World(backend, small_config())
    made.propose("AAA")
    made.propose("BBB")
    made.trade(made.order("sell", 4))
    made.scripts.commit(10)
    return made


@contextmanager
def system(backend: Real) -> Iterator[World]:
    """The same system with an exchange that answers orders, and others that live and do nothing."""
    made = quoted(backend)
    exchange = Exchange(backend.client, made.keys, durability="relaxed")
    idle = [kind(backend.client, made.keys, durability="relaxed") for kind in (StateService, Maker)]
    stop = threading.Event()

    def live() -> None:
        for process in idle:
            process.open()
        while not stop.wait(0.5):
            for process in idle:
                process.beat()

    threads = [threading.Thread(target=exchange.run, args=(stop,)), threading.Thread(target=live)]
    for thread in threads:
        thread.start()
    wait_for("three processes", lambda: len(made.ranked("processes")) == 3)
    try:
        yield made
    finally:
        made.client.config_set("appendfsync", "always")
        stop.set()
        for thread in threads:
            thread.join()


@pytest.fixture
def world(valkey: Real) -> Iterator[World]:
    """That system on Valkey: what is printed does not depend on the server."""
    with system(valkey) as made:
        yield made


def url(world: World) -> str:
    """The URL of the world's server."""
    assert isinstance(world.backend, Real)
    return world.backend.server.url


def environment(**changes: str) -> dict[str, str]:
    """The environment of a person at a UTF-8 terminal; ``changes`` are of their settings."""
    return {**os.environ, **PLAIN, **changes}


def run(
    world: World, command: str, *options: str, charset: str = "utf-8", **changes: str
) -> Result:
    """A command to its end, in this process, on streams of this encoding."""
    words = [*READING[command], *options, "--redis-url", url(world)]
    runner = CliRunner(charset=charset, env=environment(**changes))
    return runner.invoke(main, words, catch_exceptions=False)


def test_a_relaxed_durability_is_said(real_backend: Real) -> None:
    """Every reading command says it of a relaxed server, in its text and with its JSON."""
    with system(real_backend) as world:
        for command in READING:
            assert "RELAXED" not in run(world, command).output, command
        strong = run(world, "status", "--json")
        world.client.config_set("appendfsync", "everysec")
        for command in READING:
            assert RELAXED in run(world, command).stdout, command
            done = run(world, command, "--json")
            assert done.stderr == f"{RELAXED}\n", command
            facts = json.loads(done.stdout)
            if isinstance(facts, dict):
                said = facts["durability"], facts["durability_reasons"]
                assert said == ("relaxed", ["appendfsync everysec"]), command
    facts = json.loads(strong.stdout)
    assert (facts["durability"], facts["durability_reasons"]) == ("always", [])
    assert strong.stderr == ""


@pytest.mark.parametrize("charset", ["ascii", "latin-1"])
def test_any_encoding_is_survived(world: World, charset: str) -> None:
    """Every reading command prints ASCII where the terminal is not UTF-8."""
    for command in READING:
        done = run(world, command, charset=charset)
        assert (done.exit_code, done.stderr) == (0, ""), command
        assert done.stdout_bytes.isascii(), command
    assert b"#" in run(world, "exposure", charset=charset).stdout_bytes
    assert "█" in run(world, "exposure").stdout


@pytest.mark.parametrize("columns", [40, 60, 250])
def test_columns_are_heeded(world: World, columns: int) -> None:
    """No line of any command is wider than COLUMNS says; without it a file has all columns."""
    for command in READING:
        done = run(world, command, COLUMNS=str(columns))
        assert max(map(len, done.stdout.splitlines())) <= columns, command
    assert ("not shown" in run(world, "positions", COLUMNS=str(columns)).stdout) is (columns < 250)
    assert "not shown" not in run(world, "positions").stdout


def test_the_c_locale_is_survived(world: World) -> None:
    """With LC_ALL=C and without UTF-8 mode a command prints its bars in ASCII."""
    changes = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    words = [*MM, "exposure", "--redis-url", url(world)]
    done = subprocess.run(words, capture_output=True, check=True, env=environment(**changes))
    assert b"#" in done.stdout and done.stdout.isascii()


@pytest.mark.parametrize("words", ["status", "quotes --json", "watch"])
def test_a_reader_that_goes_is_no_error(world: World, words: str) -> None:
    """With ``| head -1`` a command prints its first line and ends with status 0."""
    line = f'{" ".join(MM)} {words} --redis-url {url(world)} | head -1; echo "${{PIPESTATUS[0]}}"'
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, check=False, env=environment(), text=True
    )
    assert done.stdout.splitlines()[-1] == "0", done
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == ""


def test_what_an_audit_found_stands_though_nobody_reads_it(valkey: Real) -> None:
    """The exit status of an audit is that of its verdict, also when its reader is gone."""
    world = quoted(valkey)
    world.client.hset(world.keys.named("exposure"), "bid_units", "19")
    line = f'{" ".join(MM)} audit --redis-url {url(world)} | true; echo "${{PIPESTATUS[0]}}"'
    words = ["bash", "-c", line]
    done = subprocess.run(words, capture_output=True, check=False, env=environment())
    assert done.stdout == b"1\n"


class TestWatch:
    def test_status_lines_into_a_file(self, world: World, tmp_path: Path) -> None:
        """``mm watch > file`` writes lines with the time and its zone, and Ctrl-C ends it."""
        target = tmp_path / "lines"
        with target.open("wb") as file:
            words = [*MM, "watch", "--redis-url", url(world)]
            process = subprocess.Popen(words, stdout=file, env=environment())
            wait_for("two lines", lambda: target.read_text().count("\n") >= 2, 30)
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
        for line in target.read_text().splitlines():
            instant, orders = line.split("  ")[:2]
            assert instant.endswith("Z") and "T" in instant
            assert orders.startswith("orders 1 (")

    def test_it_ends_when_the_system_is_gone(self, valkey: Real) -> None:
        """Without a terminal ``mm watch`` ends with status 1 once the system is gone for long."""
        world = quoted(valkey)
        code = (
            "import mm.terminal.live as live; live.GONE_S = 1.0;"
            "from mm.cli import main; main(prog_name='mm')"
        )
        words = [MM[0], "-c", code, "watch", "--redis-url", url(world)]
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), text=True
        )
        assert process.stdout is not None
        assert "orders 1" in process.stdout.readline()
        world.client.delete(world.keys.named("config"))
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "mm: the system has not answered for 1 s: no system runs" in errors
