"""`mm fills`, `mm orders`, `mm quotes --events` and `mm pnl`: forms, files, bounds, refusals."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from mm.cli import writing
from mm.cli.past_options import FORMATS
from mm.host import System
from mm.instant import precise
from mm.records import fill_rows, write_csv
from mm.store import execute
from tests.kit import Fake, Real, World, small_config
from tests.kit.commands import MM, invoke
from tests.kit.past import rows_of, trade

Run = Callable[..., Result]


@pytest.fixture
def past(fake: Fake) -> World:
    """Five fills of two symbols, a second apart."""
    world = World(fake, small_config(limit=100))
    for number in range(5):
        trade(world, "AAB"[number % 3] * 3, "sell", number + 1)
    return world


@pytest.fixture
def run(past: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """A command on that system, in a directory of its own."""
    monkeypatch.setattr(System, "scripts", lambda _self, **_: past.make_scripts())
    monkeypatch.chdir(tmp_path)
    return invoke


def lines(text: str) -> list[dict[str, str]]:
    """The rows of CSV text."""
    return list(csv.DictReader(io.StringIO(text)))


def names() -> list[str]:
    """The files of the current directory."""
    return sorted(path.name for path in Path().iterdir())


COMMANDS = [["fills"], ["orders"], ["quotes", "--events"], ["pnl"]]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_forms(run: Run, words: list[str]) -> None:
    """Every form has the same rows; --json is the form json; a file has what the output had."""
    whole = json.loads(run(*words, "--json").stdout)
    assert len(whole) >= 2
    assert json.loads(run(*words, "--format", "json").stdout) == whole
    one_each = run(*words, "--format", "jsonl").stdout
    assert [json.loads(line) for line in one_each.splitlines()] == whole
    table = run(*words, "--format", "csv").stdout
    assert lines(table) == [
        {name: "" if value is None else str(value) for name, value in one.items()} for one in whole
    ]
    shown = run(*words)
    assert shown.exit_code == 0 and len(shown.stdout.splitlines()) >= len(whole) + 2
    done = run(*words, "--output", "a.csv")
    assert done.stdout == f"wrote a.csv: {len(whole):,} rows\n"
    assert Path("a.csv").read_text() == table
    assert names() == ["a.csv"]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_parquet(run: Run, words: list[str]) -> None:
    """The file has the same rows, its decimals as decimals."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra `parquet` is not installed")
    done = run(*words, "--output", "a.parquet")
    assert done.exit_code == 0, done.output
    whole = json.loads(run(*words, "--json").stdout)
    found = parquet.read_table("a.parquet").to_pylist()
    assert len(found) == len(whole)
    for row, wanted in zip(found, whole, strict=True):
        assert set(row) == set(wanted)
        for name, value in row.items():
            if isinstance(value, Decimal):
                assert value == Decimal(wanted[name])
            elif name not in ("time", "expires"):
                assert value == wanted[name]


def test_bounds(run: Run, past: World) -> None:
    """--since and --until as in `mm explain`, --symbol in any letters, and several times."""
    rows = lines(run("fills", "--format", "csv").stdout)
    ids = [one["fill_id"] for one in rows]

    def found(*words: str) -> list[str]:
        done = run("fills", "--format", "csv", *words)
        assert done.exit_code == 0, done.output
        return [one["fill_id"] for one in lines(done.stdout)]

    assert found("--since", rows[1]["time"], "--until", rows[3]["time"]) == ids[1:3]
    assert found("--since", "2s") == ids[-3:]
    assert found("--until", "2s") == ids[:2]
    assert found("--symbol", "bbb") == [one for one in ids if one.startswith("BBB")]
    assert found("--symbol", "AAA", "--symbol", "BBB") == ids
    past.advance(10_000)
    assert found("--since", "5s") == []


def test_table_of_many(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table has the newest rows only, and says of how many."""
    monkeypatch.setattr(writing, "TABLE_ROWS", 2)
    shown = run("fills").stdout
    assert "the newest 2 of 5; --format csv has all" in shown
    ids = [one["fill_id"] for one in lines(run("fills", "--format", "csv").stdout)]
    assert [one in shown for one in ids] == [False] * 3 + [True] * 2


def test_pnl(run: Run) -> None:
    """Each group in words; the table ends with the total of each currency."""
    found = json.loads(run("pnl", "--by", "hour,symbol", "--json").stdout)
    assert list(found[0]) == [
        *("hour", "symbol", "currency", "profit", "spread_earned", "inventory_profit", "fills"),
        *("volume", "quantity", "net_quantity", "mark"),
    ]
    assert [one["symbol"] for one in found] == ["AAA", "BBB"]
    (whole,) = json.loads(run("pnl", "--by", "currency", "--json").stdout)
    for name in ("profit", "spread_earned", "inventory_profit", "volume"):
        assert Decimal(whole[name]) == sum(Decimal(one[name]) for one in found)
    assert whole["fills"] == 5
    assert f"total {whole['profit']} = spread {whole['spread_earned']}" in run("pnl").stdout


def test_the_present_stays(run: Run) -> None:
    """`mm quotes` alone shows the active quotes, in both of its forms."""
    assert "active of 2 symbols" in run("quotes").stdout
    present = json.loads(run("quotes", "--json").stdout)
    assert present == json.loads(run("quotes", "--format", "json").stdout)
    assert [one["symbol"] for one in present] == ["AAA", "BBB"]
    assert "quote_version" in present[0] and "event" not in present[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("fills --since soon", "--since 'soon': it must be like 90s"),
        ("orders --until 5", "--until '5': it must be like 90s"),
        ("fills --since 1h --until 2h", "it must be later"),
        ("fills --symbol ZZZ", "--symbol ZZZ: this system has no such symbol, but AAA BBB"),
        ("fills --symbol a/b", "symbol 'A/B'"),
        ("fills --format xml", "Invalid value for '--format'"),
        ("fills --json --format csv", "give one of them"),
        ("fills --force", "it belongs to --output"),
        ("fills --output a.txt", "a table is for the screen"),
        ("fills --output a.csv --format table", "a table is for the screen"),
        ("fills --output a.parquet --format csv", "--format csv and --output a.parquet: "),
        ("orders --output a.jsonl --format json", "--format json and --output a.jsonl: "),
        ("quotes --events --output a.CSV --format parquet", "--format parquet and --output a.CSV"),
        ("pnl --output a.csv --json", "--json and --output a.csv: "),
        ("fills --output no/a.csv", "cannot be written: No such file or directory"),
        ("fills --output full.csv", "the file exists; --force overwrites it"),
        ("fills --output pipe --format csv --force", "no regular file"),
        ("fills --format parquet", "name its file with --output"),
        ("quotes --since 1h", "are for the past: add --events"),
        ("quotes --symbol AAA", "add --events"),
        ("quotes --format csv", "add --events"),
        ("quotes --output a.json", "add --events"),
        ("pnl --by week", "--by 'week': it must be some of day,hour,symbol,currency"),
        ("pnl --by day,day", "each once"),
        ("pnl --by day,", "each once"),
    ],
)
def test_refused(run: Run, words: str, said: str) -> None:
    """Each mistake ends with status 2, names the value, and writes nothing."""
    Path("full.csv").write_text("mine")
    os.mkfifo("pipe")
    done = run(*words.split())
    assert (done.exit_code, said in done.stderr) == (2, True), done.output
    assert names() == ["full.csv", "pipe"]
    assert Path("full.csv").read_text() == "mine"


def test_force(run: Run) -> None:
    """It overwrites a file."""
    Path("a.csv").write_text("mine")
    assert run("fills", "--output", "a.csv", "--force").exit_code == 0
    assert len(lines(Path("a.csv").read_text())) == 5


def test_without_pyarrow(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal names the extra, before anything is read; nothing else needs pyarrow."""
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    done = run("fills", "--output", "a.parquet")
    assert done.exit_code == 2 and "extra `parquet`" in done.stderr
    assert run("fills", "--format", "csv").exit_code == 0


def test_a_broken_write_leaves_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file appears when it is complete, or not at all."""

    def breaks(rows: Any, file: Any) -> None:
        file.write("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(writing._WRITERS, "csv", breaks)
    done = run("fills", "--output", "a.csv")
    assert done.exit_code == 1 and "No space left on device" in done.stderr
    assert not names()


def test_damage_is_said(run: Run, past: World) -> None:
    """A foreign record in the ledger is counted, and the status is 1; what can be shown is."""
    key = past.keys.named("fills")
    execute(past.client, "XADD", key, "*", "AAA-9", "rubbish")
    done = run("fills", "--format", "csv")
    assert (done.exit_code, len(lines(done.stdout))) == (1, 5)
    assert "left out of fills, not what this system writes: 1;" in done.stderr
    assert run("pnl").exit_code == 1
    past.send_raw("o", "rubbish")
    done = run("orders", "--format", "csv")
    assert done.exit_code == 0 and "the dead letters have them" in done.stderr
    execute(past.client, "XADD", key, "*", "AAA-9", f"sell 1 99 c o q {past.now_ms()} 1")
    done = run("pnl")
    assert done.exit_code == 1 and "fill AAA-9 follows fill" in done.stderr
    assert run("pnl", "--symbol", "BBB").exit_code == 0


def test_older_ones_are_gone(run: Run, past: World) -> None:
    """What is no longer kept is said, unless the range begins later."""
    execute(past.client, "XTRIM", past.keys.named("orders"), "MAXLEN", 2)
    assert "older orders are no longer kept" in run("orders").stderr
    assert "no longer kept" not in run("orders", "--since", "1s").stderr
    assert "no longer kept" not in run("fills").stderr


@pytest.mark.server
@pytest.mark.slow
def test_a_reader_that_goes_away(valkey: Real) -> None:
    """`mm fills | head` ends without a trace, also in the middle of a long ledger."""
    world = World(valkey, small_config())
    now = world.now_ms()
    for first in range(1, 30_001, 1_000):
        words = [
            word
            for number in range(first, first + 1_000)
            for word in (f"AAA-{number}", f"sell 1 99 c o{number} AAA-1 {now} 2")
        ]
        execute(world.client, "XADD", world.keys.named("fills"), "*", *words)
    # Of what is long the reader takes a line, and of what is short nothing.
    for name, form in (*(("fills", form) for form in FORMATS[:-1]), ("pnl", "csv")):
        with subprocess.Popen(
            [*MM, name, "--format", form, "--redis-url", valkey.server.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None and process.stderr is not None
            assert name == "pnl" or process.stdout.readline()
            process.stdout.close()
            said = process.stderr.read().decode()
            assert process.wait(60) == 0, said
        assert "Traceback" not in said and "Exception" not in said, said
    file = io.StringIO()
    write_csv(rows_of(world.scripts, fill_rows), file)
    assert file.getvalue().count(precise(now)) == 30_000
