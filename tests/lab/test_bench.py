"""The benchmark: its arithmetic, its load, its form; no test here asserts a speed."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from mm.errors import UsageError
from mm.lab.bench import SECTIONS, bench_table, check_picture, draw_picture
from mm.lab.bench.figure import Figure, Result, Samples, percentile
from mm.lab.bench.load import Orders, encode
from mm.lab.bench.sections.hold import figures
from mm.lab.bench.world import bench_symbols
from mm.store import Keys
from tests.kit.commands import run_mm

KEY = Keys().named("orders")


class TestFigures:
    @pytest.mark.parametrize(
        ("values", "at_most", "met"),
        [((1, 3, 4), False, True), ((1, 2, 4), False, False), ((1, 3, 9), True, True)],
    )
    def test_the_median_is_judged(
        self, values: tuple[float, ...], at_most: bool, met: bool
    ) -> None:
        """A target is met by the median, from above or from below."""
        assert Figure("s", "n", "x", values, 3.0, at_most).met is met

    def test_no_target(self) -> None:
        """Without a target nothing is met or missed."""
        assert Figure("s", "n", "x", (1.0,)).met is None

    @pytest.mark.parametrize(
        ("percent", "value"), [(0.1, 1), (50, 5), (90, 9), (91, 10), (99.9, 10), (100, 10)]
    )
    def test_percentile(self, percent: float, value: float) -> None:
        """The nearest rank: a value that was seen."""
        assert percentile([3, 1, 2, 5, 4, 10, 9, 8, 7, 6], percent) == value

    def test_json_says_everything(self) -> None:
        """The result as JSON has each figure with its spread, its target and whether it is met."""
        result = Result({"cpu": "x"}, [Figure("s", "n", "x", (2.0, 1.0, 4.0), 3.0)], ["why"])
        said = json.loads(json.dumps(result.as_dict()))
        assert said["notes"] == ["why"]
        assert said["figures"] == [
            {
                "section": "s",
                "name": "n",
                "unit": "x",
                "note": "",
                "median": 2.0,
                "min": 1.0,
                "max": 4.0,
                "repeats": 3,
                "values": [2.0, 1.0, 4.0],
                "milliseconds": [],
                "target": 3.0,
                "target_is": "at least",
                "met": False,
            }
        ]

    def test_json_has_the_time_of_every_order(self) -> None:
        """Times are counted by microseconds of three digits, and none is left out."""
        times = [0.000_012_4, 0.000_999_6, 0.001_234, 0.001_226, 0.098_765, 0.0]
        said = Samples("latency", "closed loop: order to report", 1, 0.0004, times).as_dict()
        assert said["us"] == {"0": 1, "12": 1, "1000": 1, "1230": 2, "98800": 1}
        assert (said["orders"], said["repeat"], said["two_trips_us"]) == (6, 1, 400.0)


class TestLoad:
    def test_entries_are_what_the_order_api_takes(self) -> None:
        """Each entry is one XADD of whole records; ids are unique; limits lie beyond any quote."""
        entries = Orders(bench_symbols(3, 10), "c1", "r", 7).entries(10, KEY, bulk=4)
        assert [len(entry.order_ids) for entry in entries] == [4, 4, 2]
        names = [name for entry in entries for name in entry.order_ids]
        assert len(set(names)) == 10
        words = entries[0].data.decode().split("\r\n")[2::2]
        assert words[:3] == ["XADD", KEY, "*"]
        assert words[3::2] == list(entries[0].order_ids)
        assert encode(words) == entries[0].data
        for line in words[4::2]:
            client, symbol, side, lots, limit = line.split(" ")
            assert (client, symbol[:1], 1 <= int(lots) <= 9) == ("c1", "S", True)
            assert int(limit) == {"buy": 11_000, "sell": 9_000}[side]

    def test_seeded(self) -> None:
        """The same seed and run give the same orders, another seed others."""
        one, same, other = (Orders(bench_symbols(9, 10), "c1", "r", seed) for seed in (1, 1, 2))
        entries = one.entries(50, KEY)
        assert entries == same.entries(50, KEY)
        assert entries != other.entries(50, KEY)
        assert {name for entry in one.entries(50, KEY) for name in entry.order_ids}.isdisjoint(
            name for entry in entries for name in entry.order_ids
        )


def sample(at: float, **fields: float) -> dict[str, float]:
    """A sample of a sustained run, flat except for ``fields``."""
    flat = {"matched": 1_000 * at, "lag_orders": 5.0, "memory_bytes": 100.0, "rewriting": 0.0}
    return {"at_s": at, **flat, "report_p50_ms": 1.0, "report_max_ms": 2.0} | fields


class TestSustained:
    def test_flat(self) -> None:
        """A flat run is flat, and the peak of a rewrite is a figure of its own."""
        series = [sample(float(at)) for at in range(9)]
        series[4] |= {"rewriting": 1.0, "report_max_ms": 30.0, "lag_orders": 500.0}
        found = {one.name: one.median for one in figures(series, 1_000.0)}
        assert found["rate, last third against first"] == 1.0
        assert found["memory beyond the ledger, last third"] == 1.0
        assert found["longest lag of the exchange"] == 0.5
        assert found["rewrites of the log"] == 1.0
        assert found["slowest report while rewriting"] == 30.0
        assert found["slowest report otherwise"] == 2.0

    def test_growing(self) -> None:
        """What grows or slows down shows as such."""
        series = [sample(at, memory_bytes=100 + at, matched=at * (20 - at)) for at in range(1, 10)]
        found = {one.name: one.median for one in figures(series, 1_000.0)}
        assert found["memory beyond the ledger, last third"] > 1.05
        assert found["rate, last third against first"] < 0.5

    def test_a_stall(self) -> None:
        """An exchange that matched nothing at first has no rate to compare with."""
        series = [sample(float(at), matched=1_000.0 * max(0, at - 4)) for at in range(9)]
        found = {one.name: one.median for one in figures(series, 1_000.0)}
        assert "rate, last third against first" not in found
        assert found["longest lag of the exchange"] == 0.005


class TestShowing:
    def test_table(self) -> None:
        """Each figure, its target and whether it is met; notes and problems stand below."""
        figures = [
            Figure("raw", "RAW", "/s", (1_234.0, 1_500.0)),
            Figure("matching", "share", "x", (0.5,), 0.65),
            Figure("load", "all", "%", (20.0,), 25.0, at_most=True),
            Figure("latency", "p50", "x", (4.0, 6.0), milliseconds=(1.62, 1.68)),
        ]
        result = Result({"cpu": "one"}, figures, ["no tool"], ["leaked"], 2)
        console = Console(width=100, record=True, file=io.StringIO())
        console.print(bench_table(result))
        shown = console.export_text()
        for text in ("cpu one", "1,234 to 1,500", ">= 0.65 missed", "<= 25 met", "note: no tool"):
            assert text in shown
        (latency,) = (line for line in shown.splitlines() if "p50" in line)
        assert latency.split() == ["p50", "5", "x", "4", "to", "6", "1.65"]
        assert "PROBLEM: leaked" in shown
        assert "1 of 2 targets met; 2 audits, NOT CLEAN" in shown

    def test_nothing_is_judged_without_targets(self) -> None:
        """Without a target the last line judges none."""
        console = Console(width=100, record=True, file=io.StringIO())
        console.print(bench_table(Result({}, [Figure("raw", "RAW", "/s", (1.0,))], audits=1)))
        assert console.export_text().splitlines()[-1] == "1 audits, all clean"

    @pytest.mark.parametrize("width", [40, 60, 80, 250])
    def test_narrow(self, width: int) -> None:
        """No number is broken at any width: columns are left out by name, and labels wrap."""
        latency = Figure(
            *("latency", "half of max: order to position, p99.9", "x", (12.4, 13.5)),
            *(20.0, True, "a note that says more"),
            milliseconds=(1.62, 1.68),
        )
        figures = [Figure("raw", "RAW: XADD of six fields", "/s", (1_234_567.0,)), latency]
        console = Console(width=width, record=True, file=io.StringIO())
        console.print(bench_table(Result({"cpu": "one"}, figures)))
        shown = console.export_text()
        assert all(len(line) <= width for line in shown.splitlines())
        words = " ".join(shown.split())
        for number in ("1,234,567", "12.9"):
            assert f" {number} " in words
        title = "median unit min to max ms target"
        left_out = re.search(r"not shown at \d+ columns: ([a-z, ]+?) (?:\d|$)", words)
        if width >= 80:
            assert title in words and "12.4 to 13.5 1.65 <= 20 met" in words
            assert left_out is None
        else:
            assert left_out is not None
            missing = left_out[1].split(", ")
            assert missing and set(missing) <= {"unit", "min to max", "ms", "target"}
        assert "half of max:" in words and "more)" in words

    @pytest.mark.parametrize("name", ["a.gif", "a", "no/such/a.png"])
    def test_bad_picture(self, name: str, tmp_path: Path) -> None:
        """A picture that cannot be made is refused before anything is measured."""
        with pytest.raises(UsageError, match="picture"):
            check_picture(tmp_path / name)

    @pytest.mark.slow
    def test_picture(self, tmp_path: Path) -> None:
        """A picture is drawn, with the sustained run in it when there was one."""
        figures = [Figure("matching", "share", "x", (0.5, 0.7), 0.65)]
        for series in ([], [sample(0.0), sample(1.0, rewriting=1.0)]):
            path = tmp_path / f"{len(series)}.png"
            draw_picture(Result({"cpu": "one"}, figures, series=series), path)
            assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.server
@pytest.mark.slow
class TestCommand:
    def test_quick(self) -> None:
        """A quick run of every section: sound systems, every figure there, exit status 0."""
        done = run_mm("bench", "--quick", "--minutes", "0.05", "--json", timeout_s=900)
        assert done.stdout, done.stderr[-2_000:]
        said = json.loads(done.stdout)
        assert said["problems"] == []
        assert done.returncode == 0, done.stderr[-2_000:]
        left_out = {note.partition(":")[0] for note in said["notes"]}
        measured = {figure["section"] for figure in said["figures"]} - {"recovery"}
        usual = set(SECTIONS) - {"archive"}
        assert measured | left_out >= usual
        # One of each section's systems at least has been audited, of some sections several.
        assert said["audits"] >= len(usual)

    def test_quick_archive(self) -> None:
        """The section that is measured only when it is named."""
        done = run_mm("bench", "--quick", "--only", "archive", "--json", timeout_s=400)
        assert done.returncode == 0, done.stderr[-2_000:]
        said = json.loads(done.stdout)
        assert said["problems"] == []
        assert {figure["section"] for figure in said["figures"]} == {"archive"}
        assert said["audits"] == 2
        for figure in said["figures"]:
            assert figure["min"] <= figure["median"] <= figure["max"], figure
            # In a run of seconds memory may also shrink, so what it takes beyond the ledger too.
            difference = any(words in figure["name"] for words in ("not filled", "beyond the"))
            assert figure["max"] > 0 or difference or not figure["min"], figure

    def test_bad_values(self, tmp_path: Path) -> None:
        """Usage errors end with status 2 and one line, before anything is started."""
        for words in (
            ("--repeats", "0"),
            ("--only", "everything"),
            ("--minutes", "-1"),
            ("--picture", str(tmp_path / "a.gif")),
            ("--server", str(tmp_path / "none")),
        ):
            done = run_mm("bench", "--quick", *words)
            assert done.returncode == 2, words
            assert "Traceback" not in done.stderr
            assert words[1] in done.stderr
