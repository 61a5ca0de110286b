"""Rubbish everywhere, the short version; ``scripts/fuzz`` runs hundreds of thousands of cases.

The seed stands in a test's name, and a failure names the command that plays its case again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from mm.cli import main
from mm.errors import ConfigError, ValueRefused, shown
from mm.market import config_toml, default_config, load_config
from mm.market.config_file import parse_config
from mm.store import open_client
from tests.hunts.fuzz.commands import Stage
from tests.hunts.fuzz.run import (
    Orders,
    explore_commands,
    explore_files,
    explore_orders,
    fuzz_commands,
    fuzz_config,
    fuzz_files,
    fuzz_orders,
    fuzz_processes,
)
from tests.kit import SEEDS, Fake, Real, World

SEED = SEEDS[0]


@pytest.fixture
def orders_world(fake: Fake) -> World:
    """A world whose streams keep all that is sent."""
    return World(fake, fuzz_config())


@pytest.fixture(scope="module")
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A running system on Valkey, for the commands of this module."""
    backend = Real("valkey", request.getfixturevalue("valkey_server"))
    with Stage.on(backend) as made:
        yield made
    backend.close()


class TestOrders:
    @pytest.mark.parametrize("seed", SEEDS)
    def test_seeded(self, orders_world: World, seed: int) -> None:
        """Damaged entries, alone and among good ones: all are answered, none stops the stream."""
        counts = fuzz_orders(orders_world, seed, 600)
        assert min(counts["good"], counts["bad"], counts["unknown"]) > 20

    def test_any_bytes(self, orders_world: World) -> None:
        """Entries that Hypothesis makes up."""
        explore_orders(orders_world, SEED, 50)

    @pytest.mark.parametrize("spoil", ["report", "cursor", "quote", "letter"])
    def test_bites(self, orders_world: World, spoil: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """The checks notice a lost report, a stuck cursor, a changed market, a lost dead letter."""
        orders = Orders(orders_world)
        client, keys = orders_world.client, orders_world.keys
        step = orders.exchange.step

        def spoilt() -> bool:
            more = step()
            match spoil:
                case "report":
                    client.delete(keys.member("reports:*", "c1"))
                case "cursor":
                    client.hset(keys.named("cursors"), "exchange", "1-0")
                case "quote":
                    client.hincrby(keys.member("quote:*", "AAA"), "bid_lots", -1)
                case _:
                    client.delete(keys.named("deadletter"))
            return more

        monkeypatch.setattr(orders.exchange, "step", spoilt)
        with pytest.raises(AssertionError):
            orders.play([[(b"o1", b"c1 AAA buy"), (b"o2", b"c1 AAA hold 1 1")]])


class TestFiles:
    @pytest.mark.parametrize("kind", ["tape", "config"])
    def test_seeded(self, fake: Fake, kind: str) -> None:
        """Each file is refused with its name, or can be used; a sample of configurations runs."""
        counts = fuzz_files(kind, SEED, range(230), fake)
        assert counts["refused"] > 50
        assert counts["used"] + counts["ran"] > 25

    def test_any_bytes(self) -> None:
        """Tapes and configurations that Hypothesis makes up."""
        explore_files(SEED, 40)


@pytest.mark.server
class TestCommands:
    def test_seeded(self, stage: Stage) -> None:
        """Every command takes right values, and ends with 2 and a reason for a wrong one."""
        counts = fuzz_commands(stage, SEED, range(120))
        assert counts["exit 2"] > 30
        assert counts["exit 0"] > 20

    def test_any_words(self, stage: Stage) -> None:
        """Command lines that Hypothesis makes up."""
        explore_commands(stage, SEED, 40)

    def test_as_processes(self, stage: Stage) -> None:
        """A sample of the same commands ends as it should when run as real processes."""
        assert sum(fuzz_processes(stage, SEED, range(2)).values()) == 2


class TestFound:
    """Faults that the long version has found, one test each."""

    @pytest.mark.parametrize("line", ["limit_units = ", "refresh_ms = 0x", "durability = 0x"])
    def test_integer_of_thousands_of_digits(self, line: str) -> None:
        """A number that Python itself refuses to convert is refused like any other wrong value."""
        with pytest.raises(ConfigError, match="digits"):
            parse_config("[market]\n" + line + "9" * 5000 + "\n")

    @pytest.mark.parametrize("path", ["/dev/zero", "directory", "pipe"])
    def test_configuration_that_never_ends(self, tmp_path: Path, path: str) -> None:
        """A device, a directory or a pipe is refused, and is not read."""
        (tmp_path / "directory").mkdir()
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ConfigError, match="regular file"):
            load_config(tmp_path / path)

    def test_very_large_configuration(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A configuration file has a largest size."""
        path, text = tmp_path / "mm.toml", config_toml(default_config())
        path.write_text(text)
        monkeypatch.setattr("mm.market.config_file.MAX_BYTES", len(text))
        assert load_config(path) == default_config()
        path.write_text(text + "\n")
        with pytest.raises(ConfigError, match=rf"{len(text)} bytes at most"):
            load_config(path)

    def test_very_long_value(self) -> None:
        """An error shows the beginning of a long value, and its length."""
        with pytest.raises(ConfigError) as caught:
            parse_config(f'[market]\nexposure_mode = "{"x" * 100_000}"')
        assert len(str(caught.value)) < 400
        assert "100002 characters" in str(caught.value)
        assert shown("x") == "'x'"

    @pytest.mark.parametrize(
        "url",
        [
            "redis://localhost:1?decode_responses=true",
            "redis://localhost:1?retry_on_timeout=true",
            "unix:///tmp/s?protocol=3",
            "unix:///tmp/s?colour=red",
            "unix:///tmp/s?ssl_certfile=x",
        ],
    )
    def test_url_that_undoes_the_settings(self, url: str) -> None:
        """A server URL sets the address and the user, and no other setting."""
        with pytest.raises(ValueRefused, match="server URL"):
            open_client(url)

    def test_url_with_a_database(self) -> None:
        """A server URL may choose the database and the user."""
        client = open_client("redis://localhost:1?db=3&username=me")
        assert client.connection_pool.connection_kwargs["db"] == 3

    @pytest.mark.server
    def test_very_long_timeout(self, stage: Stage) -> None:
        """An order may wait for any finite time."""
        assert stage.run(["order", "--timeout=1e308", "AAA", "buy", "1", "1.10"]) in (0, 3)

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--rate=1e8"], "rate 100000000.0"),
            (["--rate=5e-324", "--publishers=64"], "orders/s a publisher"),
            (["--tape=t.csv", "--speed=1e7"], "speed 10000000.0"),
        ],
    )
    def test_up_refuses_what_its_publishers_would(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
    ) -> None:
        """`mm up` refuses a value that its publishers would refuse, and starts nothing."""
        monkeypatch.chdir(tmp_path)
        (tmp_path / "t.csv").write_text("ts_ms,symbol,side,price,qty\n1,XY,buy,1.00,1\n")
        monkeypatch.setattr("mm.up.Up.run", lambda *_: pytest.fail("it started"))
        done = CliRunner().invoke(main, ["up", *words])
        assert done.exit_code == 2
        assert said in done.stderr
