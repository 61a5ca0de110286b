"""The comparison with another commit: its source tree, its turns, its end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from mm.errors import UsageError
from mm.interrupts import Interrupted, interrupted_by_signals
from mm.lab.bench import AgainstOptions, run_against
from mm.lab.bench.checkout import checked_out, own_tree
from mm.lab.bench.compare import Comparison
from tests.kit.commands import alive, run_mm

pytestmark = [
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
    pytest.mark.slow,
]

#: A program in place of a commit's benchmark. It measures ``VALUE``, and appends a line to a log:
#: its value, its process id, its place and its arguments. Some sections go wrong.
BENCH = """\
import json, os, sys, time
value, words = VALUE, sys.argv[1:]
if words == ["--help"]:
    sys.exit()
with open(LOG, "a") as log:
    print(value, os.getpid(), os.getcwd(), *words, file=log)
section = words[words.index("--only") + 1]
if section in ("raw", "start") and value == 2:
    print("Error: 'raw' is not one of", file=sys.stderr)
    sys.exit(2)
if section == "latency":
    sys.exit("it broke")
if section == "load":
    time.sleep(600)
name = "mm --help, in starts of Python" if section == "start" else "rate"
figure = {"section": section, "name": name, "unit": "x", "median": value}
print(json.dumps({"figures": [figure], "problems": [], "notes": [], "audits": 1}))
"""


def git(place: Path, *words: str) -> None:
    """Run git in a directory."""
    names = ["-c", "user.name=n", "-c", "user.email=e@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(place), *names, *words], check=True, capture_output=True)


def commit(place: Path, value: int, log: Path) -> None:
    """Commit a benchmark that measures this value."""
    (place / "mm").mkdir(exist_ok=True)
    (place / "mm" / "__init__.py").write_text("OrderClient = 1\n", encoding="utf-8")
    text = BENCH.replace("VALUE", str(value)).replace("LOG", repr(str(log)))
    (place / "mm" / "__main__.py").write_text(text, encoding="utf-8")
    git(place, "add", "-A")
    git(place, "commit", "-m", f"value {value}")
    git(place, "tag", f"v{value}")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory in which temporary directories are made."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """What the benchmarks have logged."""
    return tmp_path / "log"


@pytest.fixture
def checkout(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout that stands for the project's: v0 is empty, v2 is the base, v3 is checked out."""
    place = (tmp_path / "checkout").resolve()
    place.mkdir()
    git(place, "init", "-q")
    git(place, "commit", "--allow-empty", "-m", "nothing")
    git(place, "tag", "v0")
    commit(place, 2, log)
    commit(place, 3, log)
    monkeypatch.setattr("mm.lab.bench.checkout._ROOT", place)
    return place


def against(*sections: str, pairs: int = 1, revision: str = "v2") -> Comparison:
    """Compare with a revision."""
    words = ["--seed", "7"]
    return run_against(AgainstOptions(revision, pairs, sections, words, 5.0, lambda text: None))


class TestTrees:
    def test_a_revision_is_unpacked_and_taken_away(self, checkout: Path, temporary: Path) -> None:
        """The block has the package as the commit has it; nothing is left after its end."""
        with checked_out("v2") as tree:
            assert tree.path.parent == temporary
            assert "value, words = 2" in (tree.path / "mm" / "__main__.py").read_text()
        assert list(temporary.iterdir()) == []

    def test_an_error_leaves_nothing(self, checkout: Path, temporary: Path) -> None:
        """An error in the block takes the tree away, too."""
        with pytest.raises(ZeroDivisionError), checked_out("v2"):
            _ = 1 / 0
        assert list(temporary.iterdir()) == []

    @pytest.mark.parametrize("revision", ["nobody", "", "-v2", "--all", "v2..v3", "v2:mm", "a\0b"])
    def test_unknown_revision(self, checkout: Path, revision: str) -> None:
        """What names no commit is refused in words, also where git would take it for an option."""
        with pytest.raises(UsageError, match="no such revision"), checked_out(revision):
            pass

    def test_a_revision_without_the_package(self, checkout: Path, temporary: Path) -> None:
        """A commit of before the package is refused, and nothing is left of it."""
        with pytest.raises(UsageError, match="no package mm"), checked_out("v0"):
            pass
        assert list(temporary.iterdir()) == []

    def test_no_checkout(
        self, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Source beside a checkout, or in a directory of one, is no checkout of this source."""
        places = ((tmp_path / "elsewhere", "Git says: fatal: not a git"), (checkout / "in", "top"))
        for place, words in places:
            place.mkdir()
            monkeypatch.setattr("mm.lab.bench.checkout._ROOT", place)
            with pytest.raises(UsageError, match="git checkout") as refused, checked_out("v2"):
                pass
            assert words in str(refused.value)
            with pytest.raises(UsageError, match="git checkout"):
                own_tree()

    def test_no_git(self, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A machine without git gets a sentence."""
        monkeypatch.setenv("PATH", "/nowhere")
        with pytest.raises(UsageError, match="git, which is not installed"), checked_out("v2"):
            pass

    def test_changes_are_named(self, checkout: Path) -> None:
        """A change with changes that no commit has is not named as its commit alone."""
        clean = own_tree().commit
        (checkout / "mm" / "__init__.py").write_text("# changed\n", encoding="utf-8")
        assert own_tree().commit == f"{clean} with changes"


class TestTurns:
    def test_the_first_place_changes(self, checkout: Path, log: Path) -> None:
        """Base and change, then change and base: each in its own tree, one measurement."""
        found = against("matching", "symbols", pairs=3)
        lines = [line.split(" ") for line in log.read_text().splitlines()]
        assert [line[0] for line in lines] == ["2", "3", "3", "2", "2", "3"] * 2
        assert {line[0] for line in lines if line[2] == str(checkout)} == {"3"}
        for line in lines[:6]:
            words = "bench --only matching --seed 7 --repeats 1 --json"
            assert line[3:] == words.split(" ")
        matching, symbols = found.figures()
        assert matching.ratios == symbols.ratios == [1.5] * 3
        assert (found.problems, found.notes) == ([], [])

    def test_only_the_sustained_run_gets_minutes(self, checkout: Path, log: Path) -> None:
        """With minutes every other section would be followed by a sustained run."""
        against("matching", "sustained")
        lines = log.read_text().splitlines()
        assert ["--minutes 5.0" in line for line in lines] == [False, False, True, True]

    def test_a_section_that_the_base_lacks(self, checkout: Path, log: Path) -> None:
        """It is noted with the words of the base, not run again, and no problem."""
        found = against("raw", "matching", pairs=2)
        assert len([line for line in log.read_text().splitlines() if "--only raw" in line]) == 1
        assert found.notes == ["raw: the base has no such section: Error: 'raw' is not one of"]
        assert found.problems == []

    def test_the_start_of_a_base_that_cannot_measure_it(self, checkout: Path, log: Path) -> None:
        """The bench that runs measures it, pair by pair; what only one side has gets no ratio."""
        found = against("start", pairs=2)
        ratios = {one.name: one.ratios for one in found.figures()}
        assert len(ratios.pop("mm --help, in starts of Python")) == 2
        assert ratios and not any(ratios.values())
        assert len(found.notes) == 1 and "this bench measures it" in found.notes[0]
        assert found.problems == []

    def test_a_bench_that_fails(self, checkout: Path) -> None:
        """A bench without a result is a problem in its own words, and the next section follows."""
        found = against("latency", "matching")
        assert found.problems == [
            "latency, pair 1: base: exit status 1: it broke",
            "latency, pair 1: change: exit status 1: it broke",
        ]
        assert [figure.ratios for figure in found.figures()] == [[1.5]]

    def test_nothing_compared(self, checkout: Path) -> None:
        """A comparison without any ratio has failed."""
        assert against("raw").problems == ["no figure was measured by both"]

    def test_a_signal_ends_the_bench_and_leaves_nothing(
        self, checkout: Path, log: Path, temporary: Path
    ) -> None:
        """The running bench is ended and the tree taken away before the signal is passed on."""

        def strike() -> None:
            while not log.exists() or not log.read_text().endswith("\n"):
                ended.wait(0.01)
            os.kill(os.getpid(), signal.SIGTERM)

        ended = threading.Event()
        striker = threading.Thread(target=strike, daemon=True)
        with pytest.raises(Interrupted), interrupted_by_signals():
            striker.start()
            against("load")
        assert not alive(int(log.read_text().split(" ")[1]))
        assert list(temporary.iterdir()) == []


@pytest.mark.slow
def test_command_refuses_in_words(tmp_path: Path) -> None:
    """An unknown revision, and a picture of a comparison, end with status 2 and one line."""
    picture = str(tmp_path / "a.png")
    for words in (("--against", "no-such-revision"), ("--against", "HEAD", "--picture", picture)):
        done = run_mm("bench", "--quick", "--only", "raw", *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert "Traceback" not in done.stderr
        assert "--against" in done.stderr
