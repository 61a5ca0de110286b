"""The words of the house: code, keys, messages and documents use those of ``docs/glossary.md``."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import pytest

from mm.audit import INVARIANTS
from mm.cli.main import COMMANDS
from mm.market import REASONS, REFUSALS, Config, Symbol
from mm.store import script_names
from mm.store.keys import CATALOGUE, FIELDS, RECORDS
from tests.house.imports import tree
from tests.house.plan import HOUSE, ROOT

MODULES = list(HOUSE.paths.values())
LUA = sorted((ROOT / "mm" / "lua").rglob("*.lua"))
GLOSSARY = ROOT / "docs" / "glossary.md"
#: Phrases that a reader has to decode, and what to write in their place.
BANNED_PHRASES = {
    "that is none": "invalid",
    "whoever": "the process that, the client that",
    "told": "said, shown, recorded, given",
}
#: Uses of a word that mean something else: (file, word) -> what it means there.
OTHER_MEANINGS: dict[tuple[str, str], str] = {
    ("mm/orders/foreign_tape.py", "instrument"): "the name of a column of other exchanges",
    ("mm/orders/foreign_tape.py", "ticker"): "the name of a column of other exchanges",
    ("scripts/pictures.py", "sandbox"): "the name of an option of a browser",
    ("mm/gateway/openapi.py", "component"): "a name of the OpenAPI format",
}


@dataclass(frozen=True)
class Entry:
    """A row of the glossary."""

    word: str
    meaning: str
    instead_of: tuple[str, ...]


@dataclass(frozen=True)
class Text:
    """A piece of text: where it stands, and its words."""

    file: str
    line: int
    text: str


@cache
def glossary() -> list[Entry]:
    """The rows of the glossary's tables."""
    found = []
    for line in GLOSSARY.read_text(encoding="utf-8").splitlines():
        if line.startswith("| ") and not line.startswith(("| word ", "| --- ")):
            word, meaning, others = (cell.strip() for cell in line.strip("| ").split(" | "))
            instead = tuple(one.strip() for one in others.split(",") if one.strip() != "-")
            found.append(Entry(word, meaning, instead))
    return found


@cache
def pattern(phrase: str) -> re.Pattern[str]:
    """Finds the phrase, in singular or plural, over line ends too, and as ``a_name``."""
    words = r"[\s_]+".join(map(re.escape, phrase.split()))
    return re.compile(rf"\b{words}s?\b", re.IGNORECASE)


def spaced(identifier: str) -> str:
    """The words of an identifier: ``QuoteVersion``, ``quote_version`` -> ``quote version``."""
    return " ".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", identifier)).lower()


# --- where words stand


def place(path: Path) -> str:
    """A file's path in the repository."""
    return path.relative_to(ROOT).as_posix()


def python_names(path: Path) -> Iterator[Text]:
    """The names that a Python file defines: functions, classes, arguments, variables, fields."""
    for node in ast.walk(tree(path)):
        name = None
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            name = node.name
        elif isinstance(node, ast.arg):
            name = node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            name = node.attr
        if name is not None:
            yield Text(place(path), getattr(node, "lineno", 0), spaced(name))


def lua_names(path: Path) -> Iterator[Text]:
    """The identifiers of a script."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        code = re.sub(r"'[^']*'|\"[^\"]*\"|--.*", "", line)
        for name in re.findall(r"[A-Za-z_]\w*", code):
            yield Text(place(path), number, spaced(name))


def wire_names() -> Iterator[Text]:
    """Names that users see: keys, fields, codes, commands, configuration."""
    names = [*CATALOGUE, *REASONS, *REFUSALS, *INVARIANTS, *COMMANDS, *script_names()]
    names += [name for line in FIELDS.values() for name in line.split()]
    names += [name for of, line in RECORDS.values() for name in (of, *line.split())]
    names += [field.name for kind in (Config, Symbol) for field in fields(kind)]
    yield from (Text("wire", 0, spaced(name)) for name in names)


def python_texts(path: Path) -> Iterator[Text]:
    """The comments and the string constants of a Python file, docstrings and messages included."""
    source = path.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Text(place(path), token.start[0], token.string)
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield Text(place(path), node.lineno, node.value)


def lua_texts(path: Path) -> Iterator[Text]:
    """The comments of a script, a block of lines as one."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comments = [re.sub(r"^.*?(--|$)", "", line, count=1) for line in lines]
    yield Text(place(path), 1, "\n".join(comments))


def document_texts() -> Iterator[Text]:
    """The documents, each as one; the glossary and the history of changes aside."""
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        if path != GLOSSARY and path.name != "CHANGELOG.md":
            yield Text(place(path), 1, path.read_text(encoding="utf-8"))


@cache
def all_names() -> list[Text]:
    """Every name of the code and of the wire."""
    found = list(wire_names())
    for path in MODULES:
        found += python_names(path)
    for path in LUA:
        found += lua_names(path)
    return found


@cache
def all_texts() -> list[Text]:
    """Every text of the code, of the command scripts and of the documents."""
    found = list(document_texts())
    for path in sorted((ROOT / "scripts").iterdir()):
        if path.is_file():
            found.append(Text(place(path), 1, path.read_text(encoding="utf-8")))
    for path in MODULES:
        found += python_texts(path)
    for path in LUA:
        found += lua_texts(path)
    template = ROOT / "mm" / "market" / "default.toml"
    return [*found, Text(place(template), 1, template.read_text(encoding="utf-8"))]


@cache
def everything() -> str:
    """All names and texts in one."""
    return "\n".join(text.text for text in (*all_texts(), *all_names()))


def uses(texts: Iterable[Text], phrases: Iterable[str]) -> list[tuple[str, int, str]]:
    """Where one of the phrases stands: file, line and phrase."""
    phrases = list(phrases)
    # One search for all first: nearly every text has none of them.
    anywhere = re.compile("|".join(pattern(one).pattern for one in phrases), re.IGNORECASE)
    found = []
    for text in texts:
        if anywhere.search(text.text):
            for phrase in phrases:
                for match in pattern(phrase).finditer(text.text):
                    line = text.line + text.text.count("\n", 0, match.start())
                    found.append((text.file, line, phrase))
    return found


# --- the tests


def test_the_glossary_has_one_word_for_each_idea() -> None:
    """Each word has one row with a meaning; no row's word is another row's wrong word."""
    words = [entry.word for entry in glossary()]
    wrong = [other for entry in glossary() for other in entry.instead_of]
    assert len(words) > 40
    assert len({*words, *wrong}) == len(words) + len(wrong)
    assert all(entry.meaning.endswith(".") for entry in glossary())


@pytest.mark.parametrize("entry", glossary(), ids=lambda entry: entry.word)
def test_each_word_is_used(entry: Entry) -> None:
    """The code or a document uses each word of the glossary."""
    assert pattern(entry.word).search(everything())


def test_names_and_texts_use_the_words() -> None:
    """No name and no text uses a word that the glossary replaces; a short list has reasons."""
    replaced = {other: entry.word for entry in glossary() for other in entry.instead_of}
    found = uses([*all_names(), *all_texts()], replaced)
    wrong = [use for use in found if (use[0], use[2]) not in OTHER_MEANINGS]
    assert not wrong, "\n".join(f"{f}:{n}: {word}: {replaced[word]}" for f, n, word in wrong)
    needed = {(file, word) for file, _, word in found}
    assert set(OTHER_MEANINGS) <= needed, "take what is not needed off the list"


@cache
def texts_of_tests() -> list[Text]:
    """Every docstring, comment and message of the tests; this file, which has the list, aside."""
    found: list[Text] = []
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if path.name != Path(__file__).name:
            found += python_texts(path)
    return found


def test_no_phrase_has_to_be_decoded() -> None:
    """No name and no text uses a phrase of the list, in the tests neither."""
    assert len(texts_of_tests()) > 5_000
    found = uses([*all_names(), *all_texts(), *texts_of_tests()], BANNED_PHRASES)
    assert not found, "\n".join(f"{f}:{n}: {one}: {BANNED_PHRASES[one]}" for f, n, one in found)


def test_a_wrong_word_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong word is found in a name, a docstring, a comment, a script and over a line end."""
    monkeypatch.setattr("tests.house.test_words.ROOT", tmp_path)
    module, script = tmp_path / "m.py", tmp_path / "s.lua"
    module.write_text('"""Two pips."""\n\ndef PipSize(pip_value):  # a pip\n    self.pip = 1\n')
    script.write_text("-- an open\n-- quantity\nlocal pip = 1 -- a pip\n")
    phrases = ["pip", "open quantity"]
    lines = [line for _, line, _ in uses([*python_names(module)], phrases)]
    assert sorted(lines) == [3, 3, 4]
    assert sorted(line for _, line, _ in uses(python_texts(module), phrases)) == [1, 3]
    assert [line for _, line, _ in uses(lua_names(script), phrases)] == [3]
    found = uses(lua_texts(script), phrases)
    assert sorted(found) == [("s.lua", 1, "open quantity"), ("s.lua", 3, "pip")]
    assert not uses([Text("f", 1, "a pipe, an opening")], phrases)
