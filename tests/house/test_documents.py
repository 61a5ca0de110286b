"""The documents: fresh, whole, and of things that there are."""

from __future__ import annotations

import json
import re
from dataclasses import fields

import click

from mm.gateway import openapi_document
from mm.lab.chaos.outages import KINDS as OUTAGES
from mm.lab.chaos.plan import KINDS as FAULTS
from mm.market import MARKET_FIELDS, REASONS, REFUSALS, TEMPLATE, Config
from mm.market.config_file import parse_config
from mm.store import script_names
from mm.store.keys import CATALOGUE
from mm.store.lua import include_names
from tests.house.documents import anchors, documents, pictures, prose, reference
from tests.house.known_tests import defined_tests, missing_test
from tests.house.plan import ROOT

SCRIPTS = script_names()


def test_reference_is_fresh() -> None:
    """docs/reference.md and docs/openapi.json are what scripts/reference writes now."""
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert text == reference()["render"](), "stale: run scripts/reference"
    kept = (ROOT / "docs" / "openapi.json").read_text(encoding="utf-8")
    assert json.loads(kept) == openapi_document(), "stale: run scripts/reference"


def test_a_field_has_its_own_comment() -> None:
    """The meaning of a field is the comment above it, or above its group, and no earlier one."""
    comments = reference()["market_comments"]()
    assert comments["quote_ttl_ms"].startswith("A quote lives this long")
    assert comments["quote_ttl_ms"] == comments["refresh_ms"]
    assert comments["limit"] != comments["limit_units"]


def test_every_command_and_option_is_documented() -> None:
    """Each command has a heading there and a help text, each option its name and a help text."""
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    for path, command in reference()["walk"](reference()["command_line"], "mm"):
        assert f"\n### {path}\n" in text
        assert command.help, f"{path} has no help text"
        for option in command.params:
            if isinstance(option, click.Option):
                assert f"`{option.opts[0]}`" in text, f"{path} {option.opts[0]}"
                assert option.help, f"{path} {option.opts[0]} has no help text"


def test_links_resolve() -> None:
    """Each link of a document to a file or a heading of this repository finds it."""
    for path in prose():
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                name, _, anchor = target.partition("#")
                file = path.parent / name if name else path
                assert file.exists(), f"{path.name}: {target}"
                assert not anchor or anchor in anchors(file), f"{path.name}: {target}"


def test_documents_name_commands_and_options_that_exist() -> None:
    """Each `mm ...` of a document is a command, and each --option of it one of its options."""
    known = dict(reference()["walk"](reference()["command_line"], "mm"))
    for path in prose():
        text = path.read_text(encoding="utf-8").replace("\n", " \n")
        for line in re.findall(r"(?:`|^)mm ([a-z][^`\n]*)", text, re.MULTILINE):
            words = line.split()
            name = f"mm {words[0]}"
            if len(words) > 1 and f"{name} {words[1]}" in known:
                name += f" {words[1]}"
            assert name in known, f"{path.name}: mm {line}"
            options = {opt for one in known[name].params for opt in one.opts} | {"--help"}
            given = {word for word in words if word.startswith("--")}
            assert given <= options, f"{path.name}: mm {line}"


def test_documents_name_scripts_and_modules_that_exist() -> None:
    """Each `NAME.lua`, `mm/...`, `tests/...` and `scripts/...` of a document is there."""
    for path in prose():
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r"`([a-z]+)\.lua`", text):
            assert name in {*SCRIPTS, *include_names()}, f"{path.name}: {name}.lua"
        for name in re.findall(r"`((?:mm|tests|scripts|docs)/[a-z_./]+)[` ]", text):
            assert (ROOT / name).exists(), f"{path.name}: {name}"


def test_every_word_is_documented() -> None:
    """Each key, script, reason, refusal and configuration field stands in the reference."""
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    for word in [*REASONS, *REFUSALS, *MARKET_FIELDS]:
        assert f"| `{word}` |" in text
    for name in CATALOGUE:
        assert f"`{{mm}}:{name.removesuffix('*')}" in text
    for name in SCRIPTS:
        assert f"\n### {name}.lua\n" in text


def test_the_template_has_every_field_with_its_default() -> None:
    """mm/default.toml names each field of a file, and the configuration has the defaults."""
    config = parse_config(TEMPLATE)
    for name in MARKET_FIELDS:
        optional = "#" if name == "limit" else ""
        assert re.search(rf"^{optional}{name} = ", TEMPLATE, re.MULTILINE), name
    for field in fields(Config):
        if field.name not in ("symbols", "currency"):
            assert getattr(config, field.name) == field.default


def test_texts_are_clean() -> None:
    """No unfinished work, no machine's path and no long dash in any file."""
    # In pieces, so that this file does not find itself.
    banned = [r"\bTO" r"DO\b", r"\bFIX" r"ME\b", r"\bXX" r"X\b", "\u2014", "\u2013"]
    banned += [rf"(?<![\w.])/{root}/\w" for root in ("work", "home", "root", "Users")]
    for path in documents():
        text = path.read_text(encoding="utf-8")
        for pattern in banned:
            found = re.search(pattern, text)
            assert not found, f"{path.relative_to(ROOT)}: {found and found[0]!r}"


def test_every_picture_is_made_by_a_command() -> None:
    """Each picture of README.md is one that scripts/pictures draws, and says nothing of a machine.

    Each that it draws is there and shown.
    """
    shown = re.findall(r"!\[[^]]+\]\(docs/([^)]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert sorted(shown) == sorted(pictures()["PICTURES"])
    for name in shown:
        text = (ROOT / "docs" / name).read_text(encoding="utf-8").replace("&#160;", " ")
        words = " ".join(pictures()["PICTURES"][name].words)
        assert words in text, f"{name} does not show {words}: run scripts/pictures"
        assert not re.search(r"(?<![\w./])/(tmp|work|home|root|Users)\b|@[\w.]+:|\.local", text), (
            name
        )
        links = set(re.findall(r"https?://[^\s\"<]+", text))
        assert links <= {"http://www.w3.org/2000/svg", "https://www.textualize.io"}, name


def test_every_test_that_a_document_names_exists() -> None:
    """Each ``tests/FILE.py::NAME`` of a document is a test."""
    named = []
    for path in prose():
        named += re.findall(r"tests/[\w/]+\.py(?:::\w+)+", path.read_text(encoding="utf-8"))
    assert len(named) > 100
    assert [why for why in map(missing_test, named) if why] == []


def test_every_case_is_documented() -> None:
    """docs/FAILURES.md names every test of the cases and holes, and every fault of `mm chaos`."""
    text = (ROOT / "docs" / "FAILURES.md").read_text(encoding="utf-8")
    for file in ("tests/scenarios/test_peers.py", "tests/scenarios/test_failures.py"):
        for name in sorted(defined_tests(ROOT / file)):
            assert f"`{file}::{name}`" in text, f"{file}::{name} is not named"
    for kind in (*FAULTS, *OUTAGES):
        assert re.search(rf"^\|.*`{kind}`", text, re.MULTILINE), f"{kind} is in no table"
