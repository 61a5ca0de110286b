"""The texts of the repository, and what is read out of them."""

from __future__ import annotations

import re
import runpy
from functools import cache
from pathlib import Path
from typing import Any

from tests.house.plan import ROOT


def documents() -> list[Path]:
    """All text files that the repository holds."""
    suffixes = {".py", ".lua", ".md", ".toml", ".sh", ".yml", ""}
    found = [path for path in ROOT.iterdir() if path.suffix in {".md", ".toml"}]
    for folder in ("mm", "scripts", "tests", "docs", ".ci"):
        found += [path for path in (ROOT / folder).rglob("*") if path.suffix in suffixes]
    return [path for path in found if path.is_file() and path.name != "mm.toml"]


def prose() -> list[Path]:
    """The Markdown files."""
    return [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


def anchors(path: Path) -> set[str]:
    """The anchors of a Markdown file's headings, as code forges make them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w -]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@cache
def pictures() -> dict[str, Any]:
    """What scripts/pictures.py defines."""
    return runpy.run_path(str(ROOT / "scripts" / "pictures.py"))


@cache
def reference() -> dict[str, Any]:
    """What scripts/reference.py defines."""
    return runpy.run_path(str(ROOT / "scripts" / "reference.py"))
