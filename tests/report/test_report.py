"""The page: its figures are those of the other commands, and nothing in it comes from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result

from mm.host import System
from mm.records import Entry, Source, StreamName
from mm.report import page
from mm.store import execute, text
from tests.kit import Fake, World, make_symbol, small_config
from tests.kit.commands import invoke, loaded_after
from tests.kit.partitioned import Partitioned
from tests.kit.past import trade
from tests.report.pages import Page, page_of, past_of

Run = Callable[..., Result]
#: What somebody may write as the reason of a change, or send in place of an order.
EVIL = '</script><script>window.pwned=1</script><img src=x onerror="window.pwned=1">&lt;b&gt;'


@pytest.fixture
def market(fake: Fake) -> World:
    """Fills of two symbols, a second apart, the last not committed, and a symbol without any."""
    world = World(fake, small_config(3, limit=100))
    for number in range(7):
        trade(world, "AAB"[number % 3] * 3, ("sell", "buy")[number % 2], number + 1)
    world.propose("AAA")
    world.trade(world.order("sell", 2))
    return world


@pytest.fixture
def run(market: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """A command on that system, in a directory of its own."""
    monkeypatch.setattr(System, "scripts", lambda _self, **_: market.make_scripts())
    monkeypatch.chdir(tmp_path)
    return invoke


def unsigned(amount: str) -> str:
    """An amount without the sign that the page puts before a gain."""
    return amount.removeprefix("+")


def test_figures_of_pnl(run: Run, market: World) -> None:
    """What each symbol earned in a range, and all together, is what `mm pnl` says of it."""
    since = ["--since", "4s"]
    groups = json.loads(run("pnl", "--by", "symbol", "--json", *since).stdout)
    (whole,) = json.loads(run("pnl", "--by", "currency", "--json", *since).stdout)
    assert 0 < whole["fills"] < 8
    found = page_of(market, since_ms=market.now_ms() - 4_000).by_symbol("What each symbol earned")
    assert len(found) == len(groups) + 1
    for group in [*groups, whole | {"symbol": "All"}]:
        row = found[group["symbol"]]
        assert unsigned(row["Profit"]) == group["profit"]
        assert unsigned(row["Spread earned"]) == group["spread_earned"]
        assert unsigned(row["Inventory profit"]) == group["inventory_profit"]
        assert (row["Fills"], row["Volume"]) == (str(group["fills"]), group["volume"])


def test_figures_of_positions(run: Run, market: World) -> None:
    """Net, cash, mark and profit are those of `mm positions`, also in a range without a fill."""
    now_ms = market.now_ms()
    for wanted in ({}, {"since_ms": now_ms - 1}, {"until_ms": 5}):
        shown = page_of(market, **wanted)
        quantities, money = shown.by_symbol("Quantities"), shown.by_symbol("Money")
        for one in json.loads(run("positions", "--json").stdout):
            row, cash = quantities[one["symbol"]], money[one["symbol"]]
            assert row["Net by ledger"] == row["Net by position"] == one["net_quantity"]
            assert cash["Cash by ledger"] == cash["Cash by position"] == one["cash"]
            assert (cash["Mark"], unsigned(cash["Profit at mark"])) == (one["mark"], one["profit"])
            assert row["Committed"] == str(one["position_version"])
            assert row["Fills"] == str(one["fill_seq"])
            assert row["Verdict"] == "agrees"
        assert "cash agree: 7 committed fills of 3 symbols" in shown.words
        assert shown.table("What differs") == [
            {"Symbol": "AAA", "What": "1 fill was not committed yet at that instant"}
        ]


@pytest.mark.parametrize(
    ("key", "name", "said"),
    [
        ("position:*", "cash_ticks", "cash: "),
        ("position:*", "net_lots", "net: "),
        ("position:*", "cost_ticks", "cost: "),
        ("position:*", "last_price_ticks", "last price: "),
        ("position:*", "twice_spread_ticks", "spread earned: "),
        ("symbol:*", "fill_seq", "fills: the ledger has"),
    ],
)
def test_a_number_that_differs(market: World, run: Run, key: str, name: str, said: str) -> None:
    """Each stored number that the ledger does not say is named, with both values."""
    member = market.keys.member(key, "AAA")
    execute(market.client, "HINCRBY", member, name, 3)
    found = page_of(market)
    assert "cash do NOT agree: 1 difference" in found.words
    (what,) = [row["What"] for row in found.table("What differs") if said in row["What"]]
    assert found.by_symbol("Quantities")["AAA"]["Verdict"] == "DIFFERS"
    assert found.by_symbol("Quantities")["BBB"]["Verdict"] == "agrees"
    if key == "position:*":
        assert re.search(r": (\S+) by the ledger, (\S+) by the position, which is \S+ more", what)
    done = run("report", "--output", "r.html")
    assert done.exit_code == 1 and said in done.stderr and "see `mm audit`" in done.stderr
    assert json.loads(run("report", "--json").stdout)["agrees"] is False
    assert "cash do NOT agree" in Path("r.html").read_text()


def test_a_ledger_that_is_broken(market: World) -> None:
    """A fill that does not follow, or is none, is named; nothing behind it is added up."""
    fills = market.keys.named("fills")
    line = market.records("fills")[-1][1]
    execute(market.client, "XADD", fills, "*", "BBB-9", line, "CCC-1", "rubbish", "NONE-1", line)
    found = page_of(market)
    assert "fill BBB-9 follows fill 2 in the ledger" in found.words
    assert "records that are no fills of a symbol: 2" in found.words
    assert found.by_symbol("Quantities")["AAA"]["Verdict"] == "agrees"
    assert found.by_symbol("Quantities")["BBB"]["Fills"] == "2"


def test_a_ledger_that_is_cut(market: World) -> None:
    """A ledger without its beginning is said to be one, and no profit is made up."""
    first = market.stream("fills")[0][0]
    execute(market.client, "XDEL", market.keys.named("fills"), first)
    found = page_of(market)
    assert "a part of it is missing" in found.words
    assert "AAA: fill AAA-2 follows fill 0 in the ledger" in found.words
    assert "AAA" not in found.by_symbol("What each symbol earned")


def test_empty(fake: Fake) -> None:
    """A system in which nothing happened, and a range before it, have a page with empty plots."""
    world = World(fake, small_config(2))
    for wanted in ({}, {"until_ms": 1}, {"since_ms": world.now_ms() - 1}):
        found = page_of(world, **wanted)
        assert "cash agree: 0 committed fills of 2 symbols" in found.words
        assert "There is no fill in this range." in found.words
        assert "There is no fill in this range to measure." in found.words
        assert not {name for name in found.figures if "profit" in name or "latenc" in name}


def test_nothing_can_be_put_in(market: World) -> None:
    """What users write is text: in the HTML, in the data of the plots, and in their labels."""
    market.control("reducing", "AAA", why="because")
    operations = market.keys.named("operations")
    fields = dict.fromkeys(("op", "who", "role", "why", "before", "after"), EVIL)
    words = [part for pair in (fields | {"symbol": "*"}).items() for part in pair]
    execute(market.client, "XADD", operations, "*", *words, "ts_ms", market.now_ms())
    rest = ("reason", EVIL, "raw", EVIL)
    execute(
        market.client, "XADD", market.keys.named("deadletter"), "*", "source", EVIL, "entry_id",
        "1-1", *rest,
    )  # fmt: skip
    process = {"event": "lost", "process": EVIL, "kind": "maker", "pid": "1", "before_pid": "-"}
    words = [part for pair in process.items() for part in pair]
    lifecycle = market.keys.named("lifecycle")
    now_ms = str(market.now_ms())
    execute(market.client, "XADD", lifecycle, "*", *words, "heard_ms", now_ms, "ts_ms", now_ms)
    found = page_of(market)
    assert EVIL in found.words and EVIL not in found.source
    # Nothing in the data of the plots can end the element that holds it.
    assert "<" not in found.scripts["figures"] and "<br>" in json.dumps(found.figures)
    assert "window.pwned" not in "".join(found.scripts.values()).replace(
        found.scripts["figures"], ""
    )
    assert found.source.lower().count("<script") == 3
    assert not [tag for tag, attributes in found.tags if tag == "img" or "onerror" in attributes]
    (marks,) = [one for one in found.figures["profit-0"]["data"] if one["name"] == "incident"]
    assert "<script" not in " ".join(marks["text"]) and "pwned" in " ".join(marks["text"])


def test_nothing_is_loaded(market: World) -> None:
    """No tag names another file, and the policy allows the two scripts of the page alone."""
    found = page_of(market)
    for tag, attributes in found.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form"), tag
        assert "src" not in attributes and "action" not in attributes, tag
        assert (attributes.get("href") or "#").startswith("#"), tag
    own = found.source.replace(found.scripts["library"], "")
    assert "http://" not in own and "https://" not in own and "@import" not in own
    (policy,) = [one["content"] or "" for tag, one in found.tags if "http-equiv" in one]
    allowed = re.findall("'sha256-([^']+)'", policy)
    scripts = [found.scripts[""], found.library]
    assert allowed == [
        base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts
    ]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy and "http" not in policy


def test_plots_are_valid(market: World) -> None:
    """Plotly takes each plot as it is; its texts do not follow the screen, its tables do."""
    objects = pytest.importorskip("plotly.graph_objects", reason="the extra `report` is missing")
    found = page_of(market)
    kinds = {name.partition(":")[0].partition("-")[0] for name in found.figures}
    assert kinds == {"profit", "split", "symbol", "exposure", "uptime", "latencies"}
    for figure in found.figures.values():
        words = json.dumps(figure)
        assert objects.Figure(json.loads(re.sub('"@[a-z]+"', '"#123456"', words))).data
    places = [one for tag, one in found.tags if "data-figure" in one]
    assert len(places) == 6 and all(one["aria-label"] and one["role"] == "img" for one in places)
    colors = set(re.findall('"@([a-z]+)"', found.scripts["figures"]))
    assert colors <= set(re.findall("--([a-z]+):", found.source))


def test_several_currencies(fake: Fake) -> None:
    """Money of two currencies is never added: each has its plot, its tiles and its totals."""
    config = small_config(2, limit=100)
    symbols = (make_symbol("AAA", currency="USD"), make_symbol("BBB", currency="JPY"))
    world = World(fake, type(config)(symbols=symbols, limit_units=100))
    for name in ("AAA", "BBB", "AAA"):
        trade(world, name, "sell", 3)
    found = page_of(world)
    assert {"profit-0", "profit-1", "split-0", "split-1"} <= set(found.figures)
    sums = [row for row in found.table("Money") if row["Symbol"] == "All"]
    assert [row["Currency"] for row in sums] == ["USD", "JPY"]


def test_range_of_symbols(market: World) -> None:
    """Only the symbols that are asked for; their figures are those of the whole."""
    whole, part = page_of(market), page_of(market, symbols=frozenset({"BBB"}))
    assert set(part.by_symbol("Quantities")) == {"BBB"}
    assert part.by_symbol("Quantities")["BBB"] == whole.by_symbol("Quantities")["BBB"]
    assert "AAA" not in part.source.replace(part.scripts["library"], "")
    assert "Only the symbols of this report" in part.words


def test_the_file(run: Run, market: World) -> None:
    """It is written whole, never over another one unless that is said, and says what it is."""
    done = run("report")
    assert (done.exit_code, done.stdout.startswith("wrote report.html: ")) == (0, True), done.output
    whole = Path("report.html").read_text()
    assert text(market.hash("config")["system_id"].encode()) in whole
    again = run("report")
    assert again.exit_code == 2 and "the file exists; --force overwrites it" in again.stderr
    assert Path("report.html").read_text() == whole
    assert run("report", "--force", "--symbol", "aaa").exit_code == 0
    assert Path("report.html").read_text() != whole
    assert [path.name for path in Path().iterdir()] == ["report.html"]


def test_json(run: Run) -> None:
    """The figures as JSON; without --output no file is written, and no plotting library needed."""
    found = json.loads(run("report", "--json").stdout)
    assert not [*Path().iterdir()]
    assert found["agrees"] is True and found["differences"] == []
    rows = json.loads(run("positions", "--json").stdout)
    assert [one["position_net"] for one in found["reconciliation"]] == [
        one["net_quantity"] for one in rows
    ]
    assert json.loads(run("report", "--json", "--output", "a.html").stdout) == found
    assert Path("a.html").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--since soon", "--since 'soon': it must be like 90s"),
        ("--since 1h --until 2h", "it must be later"),
        ("--symbol ZZZ", "--symbol ZZZ: this system has no such symbol, but AAA BBB"),
        ("--output no/a.html", "cannot be written: No such file or directory"),
        ("--json --force", "it belongs to --output"),
    ],
)
def test_refused(run: Run, words: str, said: str) -> None:
    """Each mistake ends with status 2, names the value, and writes nothing."""
    done = run("report", *words.split())
    assert (done.exit_code, said in done.stderr) == (2, True), done.output
    assert not [*Path().iterdir()]


def test_without_plotly(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal names the extra, before anything is read; the figures alone need none."""
    monkeypatch.setitem(__import__("sys").modules, "plotly", None)
    done = run("report")
    assert done.exit_code == 2 and "extra `report`" in done.stderr
    assert not [*Path().iterdir()]
    assert run("report", "--json").exit_code == 0


def test_plotly_is_loaded_late() -> None:
    """No command waits for the library: it is imported when a page is drawn."""
    assert "plotly" not in loaded_after("import mm.cli.report")


class Kept:
    """A source that has its entries elsewhere, and knows no streams."""

    def __init__(self, source: Source) -> None:
        names = ("fills", "orders", "quotes", "positions", "lifecycle", "operations", "deadletter")
        self._entries = {name: list(source.entries(name, 0)) for name in names}  # type: ignore[arg-type]  # these names
        self.outcomes = source.outcomes

    def entries(self, name: StreamName, since_ms: int) -> Iterator[Entry]:
        """All entries, also those of before."""
        return iter(self._entries[name])

    def lacks(self, name: StreamName, since_ms: int) -> bool:
        """It has everything."""
        return False


def test_other_sources(market: World) -> None:
    """A report knows no streams: where the records are is the matter of its sources."""
    market.beat("maker-1", first=True)
    since_ms = market.now_ms() - 3_500
    for wanted in ({}, {"since_ms": since_ms}, {"until_ms": since_ms}):
        found = [page(past_of(market, keep, **wanted), "1", "x") for keep in (None, Kept)]
        assert found[0] == found[1]


def test_partitions(fake: Fake) -> None:
    """A system of several partitions is one: in symbols, profit, exposure and incidents."""
    system = Partitioned(fake, small_config(4, limit=100, partitions=2))
    system.round()
    for name in ("AAA", "BBB", "CCC", "DDD", "AAA"):
        trade(system.world_of(name), name, "sell", 2)
    system.worlds[1].beat("maker-1.1", run="a", first=True)
    system.worlds[1].beat("maker-1.1", run="b", first=True)
    past = past_of(system.root)
    reserved = [world.hash("exposure") for world in system.worlds]
    assert past.quoting.exposure.points()[-1].shows == tuple(
        sum(int(one[name]) for one in reserved) for name in ("bid_units", "ask_units")
    )
    found = page_of(system.root)
    assert "cash agree: 5 committed fills of 4 symbols" in found.words
    assert found.by_symbol("What each symbol earned")["All"]["Fills"] == "5"
    assert "The sum over all partitions" in found.words
    assert "maker-1.1 (pid 7) started, after pid 7 had ended" in found.words


def test_the_same_page_again(market: World) -> None:
    """A page follows from what is stored: made twice at one instant it is the same text."""
    assert page(past_of(market), "1", "x") == page(past_of(market), "1", "x")
    assert isinstance(page_of(market), Page)
