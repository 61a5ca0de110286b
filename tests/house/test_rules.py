"""The rules: each is written down, kept by a file, shown by tests, and cited by its number."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mm.audit import INVARIANTS
from tests.house.known_tests import missing_test
from tests.kit.breaks import BREAKS

ROOT = Path(__file__).resolve().parents[2]
RULES_FILE = ROOT / "docs" / "RULES.md"
NUMBERS = [f"R{number}" for number in range(1, 34)]
#: Fewer cited numbers than this mean that the search for them went blind.
LEAST_CITED = 6


def rule_sections(text: str) -> dict[str, str]:
    """The text of each rule by its number, from its heading to the next heading."""
    return dict(re.findall(r"^### (R\d+) .*\n((?:(?!#).*\n)*)", text, re.MULTILINE))


def quoted_after(label: str, section: str) -> list[str]:
    """The names in backquotes of the list item that begins with the label."""
    found = re.search(rf"^- {label} (.*(?:\n  .*)*)", section, re.MULTILINE)
    return re.findall(r"`([^`]+)`", found[1]) if found else []


def citations() -> dict[str, set[str]]:
    """Each rule number that a text of the repository cites, with the files that cite it."""
    found: dict[str, set[str]] = {}
    paths = [*ROOT.glob("*.md"), ROOT / "pyproject.toml"]
    for folder in ("mm", "tests", "scripts", "docs", ".ci"):
        paths += [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    for path in paths:
        if path.suffix in {".py", ".lua", ".md", ".toml", ".sh", ".yml", ""}:
            for number in re.findall(r"\bR[0-9]{1,2}\b", path.read_text(encoding="utf-8")):
                found.setdefault(number, set()).add(str(path.relative_to(ROOT)))
    return found


RULES = rule_sections(RULES_FILE.read_text(encoding="utf-8"))


def test_every_rule_is_written_down() -> None:
    """RULES.md has R1 to R33, each once, in order."""
    headings = re.findall(r"^### (R\d+) \S", RULES_FILE.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == NUMBERS
    assert list(RULES) == NUMBERS


@pytest.mark.parametrize("number", NUMBERS)
def test_every_rule_is_kept_and_shown(number: str) -> None:
    """Each rule has a statement, names files of mm that exist, and tests that exist."""
    section = RULES[number]
    assert section.partition("\n- Kept by")[0].strip().endswith("."), f"{number} says nothing"
    keepers, shown = quoted_after("Kept by", section), quoted_after("Shown by", section)
    assert keepers, f"{number} names no script or module"
    assert shown, f"{number} names no test"
    for name in keepers:
        assert re.fullmatch(r"mm/[a-z_/]+\.(py|lua)", name), f"{number}: {name}"
        assert (ROOT / name).is_file(), f"{number}: {name} does not exist"
    for name in shown:
        assert missing_test(name) is None, f"{number}: {missing_test(name)}"


def test_every_cited_rule_exists() -> None:
    """Each R-number in code, tests, scripts and documents is a rule of RULES.md."""
    found = citations()
    elsewhere = {number for number, files in found.items() if files - {"docs/RULES.md"}}
    assert len(elsewhere) >= LEAST_CITED
    for number, files in found.items():
        assert number in RULES, f"{number} is cited in {sorted(files)} and is no rule"


def test_what_does_not_exist_is_found() -> None:
    """The checks tell a missing test, a missing file and a rule without tests apart."""
    assert missing_test("tests/house/test_rules.py::test_what_does_not_exist_is_found") is None
    assert "no test test_nothing" in str(missing_test("tests/house/test_rules.py::test_nothing"))
    assert "no test file" in str(missing_test("tests/house/test_nothing.py::test_it"))
    section = rule_sections("### R1 One\n\nText.\n\n- Kept by `a`,\n  `b`\n\n## Next\n")["R1"]
    assert quoted_after("Kept by", section) == ["a", "b"]
    assert quoted_after("Shown by", section) == []


def test_every_invariant_names_what_keeps_and_what_breaks_it() -> None:
    """The table of invariants has those of the audit, their scripts, and every break of the kit."""
    text = RULES_FILE.read_text(encoding="utf-8").partition("\n## Invariants\n")[2]
    rows = [re.split(r" \| ", line.strip("| ")) for line in text.splitlines() if line[:2] == "| "]
    table = {row[0]: row for row in rows if row[0] in INVARIANTS}
    assert list(table) == list(INVARIANTS)
    for name, (_, holds, kept, broken) in table.items():
        assert holds.endswith("."), name
        assert kept.endswith("."), name
        known = [way.__name__ for names, way in BREAKS if names[0] == name]
        assert sorted(re.findall(r"`(\w+)`", broken)) == sorted(known), name
