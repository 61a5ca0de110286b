"""The picture of the house in ARCHITECTURE.md, and its table of homes."""

from __future__ import annotations

import re

from tests.house.plan import BANDS, ROOT

TEXT = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
#: Fewer homes than this mean that the search for them went blind.
LEAST_HOMES = 30


def drawn_bands(text: str) -> dict[int, set[str]]:
    """The rooms of each band in the picture: a line without a number continues the one above."""
    bands: dict[int, set[str]] = {}
    number = 0
    picture = text.partition("\n band   rooms\n")[2].partition("\n\n")[0]
    for line in picture.splitlines():
        # A room's name, and two blanks or more before what the room is.
        found = re.fullmatch(r" ([ \d]\d|  ) {5}(\S+(?: {2}\S+)*) {3,}\S.*", line)
        assert found, f"not a line of the picture: {line!r}"
        number = int(found[1]) if found[1].strip() else number
        bands.setdefault(number, set()).update(found[2].split())
    return bands


def test_the_picture_is_the_plan() -> None:
    """The picture shows every room in the band in which the plan has it, and no other."""
    assert drawn_bands(TEXT) == dict(enumerate(BANDS, start=1))


def test_every_home_exists() -> None:
    """Each row of the table of homes names a file or a folder that is there."""
    section = TEXT.partition("\n## Where is the one home of\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (?!what|---)(.+?) \| (.+) \|$", section, re.MULTILINE)
    assert len(rows) >= LEAST_HOMES
    for fact, home in rows:
        paths = re.findall(r"`([a-z]+/[\w/.]+)`", home) + re.findall(r"\]\((\w+\.md)\)", home)
        assert paths, f"{fact}: no home"
        for path in paths:
            assert (ROOT / path).exists() or (ROOT / "docs" / path).exists(), f"{fact}: {path}"
