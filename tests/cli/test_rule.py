"""``mm rule``: begin a quote rule and prove it; ``--rule`` refuses what is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mm.cli import main


def mm(*words: str) -> Result:
    """The result of a command."""
    return CliRunner().invoke(main, words)


def test_from_nothing_to_a_proved_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What init writes is checked as it says; init overwrites nothing by itself."""
    monkeypatch.chdir(tmp_path)
    written = mm("rule", "init", "cli_rule.py")
    assert written.exit_code == 0
    assert "`mm rule check cli_rule:quote`" in written.output
    again = mm("rule", "init", "cli_rule.py")
    assert again.exit_code == 2 and "the file exists; --force overwrites it" in again.output
    assert mm("rule", "init", "cli_rule.py", "--force").exit_code == 0
    good = mm("rule", "check", "cli_rule:quote", "--cases", "100", "--seed", "4")
    assert good.exit_code == 0
    assert "good. 100 positions of 8 symbols (seed 4)" in " ".join(good.output.split())
    facts = json.loads(mm("rule", "check", "follow_trades", "--cases", "50", "--json").stdout)
    assert (facts["rule"], facts["cases"], facts["fault"]) == ("follow_trades", 50, "")


def test_a_bad_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first bad case is shown with its seed, and the status is 1; JSON says the same."""
    monkeypatch.chdir(tmp_path)
    Path("cli_bad.py").write_text("def quote(position, symbol):\n    return 1.5, 1, 2, 1\n")
    for more in ((), ("--json",)):
        bad = mm("rule", "check", "cli_bad:quote", *more)
        assert bad.exit_code == 1
        assert "rule cli_bad:quote, case 0 of seed 1: it returned bid 1.5" in bad.stderr
    assert json.loads(bad.stdout)["fault"].startswith("it returned bid 1.5")


@pytest.mark.parametrize(
    "words",
    [
        ("rule", "check", "nonsense"),
        ("rule", "check", "no.module:quote"),
        ("rule", "init", "rule.txt"),
        ("rule", "init", "my-rule.py"),
        ("rule", "init", "no/such/place/rule.py"),
        ("up", "--rule", "nonsense"),
        ("maker", "--rule", "os:no_such"),
    ],
)
def test_refused(words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong name is refused with status 2 and words, and nothing is written or started."""
    monkeypatch.chdir(tmp_path)
    refused = mm(*words)
    assert refused.exit_code == 2, refused.output
    assert "mm: " in refused.stderr and "Traceback" not in refused.output
    assert not list(tmp_path.iterdir())
