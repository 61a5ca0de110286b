"""The house, held by tests: what a script's header and comments say against what its body does."""

from __future__ import annotations

import re
from functools import cache
from inspect import isfunction
from itertools import takewhile
from pathlib import Path

import pytest

from mm.market import REASONS, REFUSALS
from mm.store import Scripts, script_names
from mm.store.archiving import TRIM_REFUSALS
from mm.store.keys import CATALOGUE
from mm.store.lua import (
    assembled,
    include_names,
    include_text,
    included,
    key_names,
    read_names,
    script_text,
)
from tests.house.lua_globals import LUA_GLOBALS, lua_globals

ROOT = Path(__file__).resolve().parents[2]
INCLUDES = include_names()
SCRIPTS = script_names()
HEADER_PARTS = ("KEYS", "READS", "ARGV", "REPLY", "ERRORS", "EMITS")
WRITES_START = "-- Writes start here."

#: Redis commands by whether they write; a script that needs another one adds it here.
WRITING = {
    "DEL",
    "HDEL",
    "HINCRBY",
    "HSET",
    "HSETNX",
    "PEXPIRE",
    "PEXPIREAT",
    "XADD",
    "XDEL",
    "XTRIM",
} | {
    "LPOP",
    "RPUSH",
    "ZADD",
    "ZREM",
    "ZREMRANGEBYSCORE",
}
READING = {"EXISTS", "INFO", "HGET", "HGETALL", "HMGET", "TIME", "XLEN", "XRANGE", "XREVRANGE"} | {
    "LINDEX",
    "ZRANGE",
    "ZRANGEBYSCORE",
    "ZSCORE",
}
# --- script headers against bodies


def own_text(name: str) -> str:
    """The text of a script or include as it is in its file."""
    return include_text(name) if name in INCLUDES else script_text(name)


def own_lines(name: str) -> list[str]:
    """The lines of a script or include as it is in its file."""
    return own_text(name).splitlines()


def header(name: str) -> dict[str, str]:
    """The parts of a script's header by name, ``""`` for what stands before them."""
    parts: dict[str, str] = {"": ""}
    current = ""
    for line in own_lines(name)[1:]:
        if not line.startswith("--"):
            break
        text = line.removeprefix("--").strip()
        first, _, rest = text.partition(" ")
        if first in HEADER_PARTS:
            current, text = first, rest.strip()
        parts[current] = f"{parts.get(current, '')} {text}".strip()
    return parts


def code(text: str) -> str:
    """Lua text without comments and without the shebang."""
    return "\n".join(re.sub(r"--.*$", "", line) for line in text.splitlines() if line[:2] != "#!")


def strings(text: str) -> list[str]:
    """The string literals of Lua text."""
    return re.findall(r"'([^'\n]*)'", code(text))


def commands(text: str) -> list[str]:
    """The Redis commands that Lua text calls; each must be written as a literal."""
    calls = re.findall(r"redis\.p?call\(\s*([^,)]*)", code(text))
    assert all(re.fullmatch(r"'[A-Z]+'", call) for call in calls), f"not a literal command: {calls}"
    found = [call.strip("'") for call in calls]
    unknown = set(found) - READING - WRITING
    assert not unknown, f"{unknown}: say in tests/house/test_scripts.py whether they read or write"
    return found


def functions(text: str) -> dict[str, str]:
    """The bodies of the top-level local functions of Lua text."""
    found = re.findall(
        r"^local function (\w+)\(.*?\)\n(.*?)^end$", code(text), re.MULTILINE | re.DOTALL
    )
    return dict(found)


@cache
def callers(name: str, *of: str) -> set[str]:
    """The functions of a whole script that call these commands, directly or through others."""
    bodies = functions(assembled(name))
    found: set[str] = set()
    while True:
        more = {
            function
            for function, body in bodies.items()
            if set(of) & set(commands(body)) or any(calls(body, other) for other in found)
        }
        if more == found:
            return found
        found = more


def writers(name: str) -> set[str]:
    """The functions within a whole script that write, by themselves or through others."""
    return callers(name, *sorted(WRITING))


def calls(text: str, function: str) -> bool:
    """Whether Lua text calls a function."""
    return re.search(rf"(?<![\w.]){function}\(", text) is not None


def body_outside_functions(text: str) -> str:
    """Lua code without its top-level local functions: what runs when the script is called."""
    return re.sub(r"^local function \w+\(.*?^end$", "", code(text), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", SCRIPTS)
def test_header_is_whole(name: str) -> None:
    """A script begins with its flags, a sentence, and then KEYS ARGV REPLY ERRORS EMITS in turn."""
    lines = own_lines(name)
    assert re.fullmatch(r"#!lua( flags=[a-z,-]+)?", lines[0])
    parts = header(name)
    assert re.match(r"[A-Z][^.]*\.", parts[""]), "the first line says what the script does"
    expected = [part for part in HEADER_PARTS if part != "READS" or part in parts]
    assert list(parts) == ["", *expected]
    assert all(parts.values()), f"an empty part in {parts}"


@pytest.mark.parametrize("name", SCRIPTS)
def test_keys_line_names_the_keys_used(name: str) -> None:
    """The body uses KEYS[1] to KEYS[n], n the names on the KEYS line, each in the catalogue."""
    names = key_names(name)
    assert set(names) <= set(CATALOGUE)
    assert len(set(names)) == len(names)
    body = code(script_text(name))
    assert indexed("KEYS", body) == set(range(1, len(names) + 1))
    reads = read_names(name)
    assert not set(reads) & set(names)
    assert set(reads) <= set(CATALOGUE)
    assert indexed("READS", body) == set(range(1, len(reads) + 1))
    taken = re.findall(r"^local READS(?:, ARGV)? = take_reads\((\d+)\)$", body, re.MULTILINE)
    assert taken == ([str(len(reads))] if reads else [])


def indexed(table: str, body: str) -> set[int]:
    """The numbers by which Lua text takes from a table."""
    return {int(index) for index in re.findall(rf"\b{table}\[(\d+)\]", body)}


@pytest.mark.parametrize("name", SCRIPTS)
def test_arguments_are_those_of_the_header(name: str) -> None:
    """Each ARGV[i] of the body has its number on the ARGV line."""
    used = {int(index) for index in re.findall(r"ARGV\[(\d+)\]", code(script_text(name)))}
    line = header(name)["ARGV"]
    said = {int(number) for number in re.findall(r"(?:^|\s)(\d+)(?=[\s:])", line)}
    assert used <= said, f"ARGV line: {line}"
    if "ARGV" not in code(script_text(name)):
        assert line == "none"


@pytest.mark.parametrize("name", SCRIPTS)
def test_errors_line_names_the_codes_used(name: str) -> None:
    """Every error code of the body is on the ERRORS line, and no other."""
    used = set(re.findall(r"error_reply\('([A-Z_]+) ", code(assembled(name))))
    assert code(assembled(name)).count("error_reply(") == len(
        re.findall(r"error_reply\('[A-Z_]+ ", code(assembled(name)))
    ), "an error reply begins with its code, as a literal"
    line = header(name)["ERRORS"]
    said = set(re.findall(r"\b[A-Z][A-Z_]{3,}\b", line))
    assert used == said
    assert used or line.startswith("none")


def test_error_codes_are_known_to_python() -> None:
    """Refusals of place.lua are those of REFUSALS; ``refusals`` knows those of the other scripts.

    DAMAGED is not a refusal: it is raised as it is, and retried until the data is restored. The two
    of the escrow refuse what no balancer asks for: an error of the program, raised as it is.
    """
    placing = set(re.findall(r"error_reply\('([A-Z_]+) ", assembled("place")))
    assert placing - {"DAMAGED"} == set(REFUSALS)
    source = (ROOT / "mm" / "store" / "refusals.py").read_text(encoding="utf-8")
    handled = set(re.findall(r'code == "([A-Z_]+)"', source))
    refusing = {"setup", "heartbeat", "withdraw", "control", "repair", "configure", "admit"}
    refusing |= {"found", "rearrange"}
    texts = "".join(map(assembled, refusing))
    assert handled == set(re.findall(r"error_reply\('([A-Z_]+) ", texts)) - {"DAMAGED"}
    trimming = set(re.findall(r"error_reply\('([A-Z_]+) ", assembled("trim")))
    assert trimming - {"DAMAGED", "FOREIGN_SYSTEM"} == set(TRIM_REFUSALS)
    apart = ("place", "lease", "treasury", "trim", *refusing)
    others = [name for name in SCRIPTS if name not in apart]
    codes = {
        code for name in others for code in re.findall(r"error_reply\('([A-Z_]+)", assembled(name))
    }
    assert codes == {"DAMAGED"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_emits_line_names_the_streams_written(name: str) -> None:
    """The streams on the EMITS line are keys of the script; one that emits nothing adds nothing."""
    line = header(name)["EMITS"]
    families = {key.removesuffix(":*") for key in key_names(name)}
    streams = {key for key, (kind, _) in CATALOGUE.items() if kind == "stream"}
    said = {word for word in re.findall(r"[a-z]+", line) if {word, f"{word}:*"} & streams}
    assert said <= families
    body = body_outside_functions(script_text(name))
    adds = "XADD" in commands(body) or any(calls(body, one) for one in callers(name, "XADD"))
    assert adds == bool(said)
    assert said or line == "nothing"


@pytest.mark.parametrize("name", SCRIPTS)
def test_checks_come_before_writes(name: str) -> None:
    """Nothing is written before the line that says so, and nothing is refused after it."""
    before, marker, after = script_text(name).partition(f"\n{WRITES_START}\n")
    assert "error_reply" not in code(after)
    head = body_outside_functions(before)
    assert not WRITING & set(commands(head))
    assert not [one for one in writers(name) if calls(head, one)]
    writes = WRITING & set(commands(after)) or [one for one in writers(name) if calls(after, one)]
    assert bool(marker) == bool(writes)
    reads_only = "no-writes" in own_lines(name)[0]
    assert reads_only == (not marker), "the no-writes flag and the writes"


@pytest.mark.parametrize("name", SCRIPTS)
def test_one_reading_of_the_clock(name: str) -> None:
    """TIME is read in now_ms() alone, and a script calls that once at most, at its top."""
    own = code(script_text(name))
    assert len(re.findall(r"now_ms\(\)", own)) == len(re.findall(r"^local now = now_ms", own, re.M))
    assert own.count("now_ms()") <= 1
    assert "TIME" not in commands(own)
    for include in set(INCLUDES) - {"base"}:
        assert "now_ms(" not in code(include_text(include))
        assert "TIME" not in commands(include_text(include))


def test_file_names_are_method_names() -> None:
    """Each script has the method of Scripts that is called like its file, and runs it."""
    files = ("scripts.py", "escrow.py", "archiving.py")
    source = "".join((ROOT / "mm" / "store" / one).read_text(encoding="utf-8") for one in files)
    for name in SCRIPTS:
        assert isfunction(getattr(Scripts, name, None)), f"Scripts.{name}"
    called = set(re.findall(r"\.call(?:_many)?\(\s*\"(\w+)\"", source))
    called |= set(re.findall(r"\.call_replicated\(replicas, \"(\w+)\"", source))
    assert called == set(SCRIPTS)


@pytest.mark.parametrize("name", INCLUDES)
def test_include_functions_are_documented(name: str) -> None:
    """Right above each function of an include its comment begins with its name and parameters."""
    lines = own_lines(name)
    assert re.match(r"-- Include: .+\.$", lines[0])
    for number, line in enumerate(lines):
        if found := re.match(r"local function (\w+\(.*\))$", line):
            above = takewhile(lambda text: text.startswith("--"), reversed(lines[:number]))
            comment = list(above)[::-1]
            assert comment, f"{found[1]} has no comment"
            assert comment[0].startswith(f"-- {found[1]} "), f"{comment[0]} above {found[1]}"


def names_given(include: str) -> set[str]:
    """The functions and values that an include gives to the files that include it."""
    lists = re.findall(r"^local (?:function )?([\w, ]+)", code(include_text(include)), re.MULTILINE)
    return {name.strip() for names in lists for name in names.split(",")}


@pytest.mark.parametrize("name", [*SCRIPTS, *INCLUDES])
def test_a_file_includes_what_it_uses_itself(name: str) -> None:
    """A file names an include exactly when it uses a name that the include gives."""
    own = own_text(name).partition("\n")[2] if name in SCRIPTS else own_text(name)
    used = lua_globals(own).read - LUA_GLOBALS
    given_by = {given: include for include in INCLUDES for given in names_given(include)}
    assert {given_by[given] for given in used} == set(included(own))


def test_every_include_is_used() -> None:
    """Each include is named by a script or by another include, and no script has its name."""
    used = {include for name in [*SCRIPTS, *INCLUDES] for include in included(own_text(name))}
    assert used == set(INCLUDES)
    assert not set(SCRIPTS) & set(INCLUDES)


# --- keys and reasons


def test_no_key_is_spelled_in_a_script() -> None:
    """Scripts get their keys and prefixes from KEYS: no literal of theirs is one or begins one."""
    names = "|".join(re.escape(name.removesuffix(":*")) for name in CATALOGUE)
    for name in [*SCRIPTS, *INCLUDES]:
        for text in strings(own_text(name)):
            assert not re.search(rf"\{{|^(\w+)?:({names})(:|$)", text), f"{name}.lua: {text!r}"


def reasons_in_lua() -> set[str]:
    """The reason words that the matching and the collecting script can put on a report."""
    order, book = code(include_text("order")), code(include_text("book"))
    match = code(script_text("match"))
    # Why a quote or its side trades with no order, and why this order trades with no side.
    refusals = re.findall(r"\brefusal = (.* or nil)\b", re.sub(r"\n +or ", " or ", book))
    assert len(refusals) == 2
    found = set(re.findall(r"and '(\w+)'", " ".join(refusals)))
    found.update(re.findall(r"\breason = '(\w+)'", book))
    for line in (order + match).splitlines():
        if re.search(r"\bfault = |\breturn '", line):
            found.update(re.findall(r"(?:return|and|or|=) '([a-z_]+)'", line))
    statuses = r"'(?:rejected|canceled|partially_filled) (\w+)"
    found.update(re.findall(statuses, order + book + match + code(script_text("collect"))))
    prefixes = re.findall(r"number_fault\(\w+, '(\w+)'\)", order)
    suffixes = re.findall(r"name \.\. '(_\w+)'", order)
    return found | {prefix + suffix for prefix in prefixes for suffix in suffixes}


def test_reasons_are_those_of_the_scripts() -> None:
    """``REASONS`` names every reason that the scripts give, and no other."""
    assert reasons_in_lua() == set(REASONS)


# --- globals


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_accidental_globals(name: str) -> None:
    """A whole script sets no global and reads only those that every server gives."""
    found = lua_globals(assembled(name).partition("\n")[2])
    assert not found.set
    assert found.read <= LUA_GLOBALS


def test_the_globals_checker_sees_them() -> None:
    """The checker finds a global that is set, and one that is read, in nested functions too."""
    found = lua_globals("local a = 1\nlocal function f() b = a + c end\nf()\nreturn d")
    assert found.set == {"b"}
    assert found.read == {"c", "d"}
