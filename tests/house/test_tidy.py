"""The house, held by tests: sizes, keys, words, clocks, documents.

The bands are in ``test_bands``, the scripts' headers and bodies in ``test_scripts``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from mm.market import Config
from mm.store import script_names
from mm.store.keys import CATALOGUE, FIELDS, RECORDS
from mm.store.lua import key_names, read_names
from tests.house.imports import tree
from tests.house.plan import HOUSE, ROOT
from tests.kit import SYSTEM_ID, Fake, World, make_symbol, small_config
from tests.kit.partitioned import Partitioned

MODULES = list(HOUSE.paths.values())
SCRIPTS = script_names()
LUA = sorted((ROOT / "mm" / "lua").rglob("*.lua"))

MODULE_LINES, FUNCTION_LINES, SCRIPT_LINES = 300, 60, 120

#: Modules that may use what is otherwise banned: (module, what) -> why it decides nothing.
CLOCKS_AND_CHANCE = {
    ("host.supervise", "time.strftime"): "the time of day beside a note for people",
    ("doctor.server", "time.time"): "how far the machine's clock is from the server's",
    ("host.logs", "time.gmtime"): "the time of day in the log files",
    ("interrupts", "time"): "whether a second signal is the same request as the first",
    ("host.supervise", "time.gmtime"): "the time of day beside a note for people",
    (
        "orders.flow",
        "random",
    ): "the flow: the same seed gives the same orders",
    ("lab.chaos.plan", "random"): "the faults: seeded, so that the same seed plans the same faults",
    ("lab.bench.http_sender", "random"): "the same orders over HTTP, and their instants: seeded",
    ("lab.bench.load", "random"): "the benchmark's orders: each run sends the same",
    ("lab.bench.rivals.common", "random"): "the alternatives' orders: each run sends the same",
    ("lab.bench.probe", "random"): "the instants of a Poisson process: seeded",
    ("rule.proof", "random"): "the positions of a proof: the same seed asks for the same",
    ("host.presence", "secrets"): "a name that no other `mm up` of the system has",
    ("orders.resume", "secrets"): "order ids that no earlier run has used",
    ("store.identity", "secrets"): "the id of a new system",
    ("archive.writer", "secrets"): "the id of a new archive",
    ("gateway.access", "secrets"): "what a session of the page has and no other",
    ("host.users", "secrets"): "what a user of the server logs in with",
    ("store.presence", "secrets"): "a word that tells one start of a process from another",
    ("orders.ticket", "secrets"): "an order id that no earlier `mm order` has used",
}
BANNED_MODULES = {"random", "uuid", "secrets"}
BANNED_CALLS = {
    *["time.time", "time.time_ns", "time.strftime", "time.localtime", "time.gmtime"],
    *["datetime.now", "datetime.utcnow", "datetime.today", "date.today"],
    *["os.urandom", "os.times"],
}


# --- sizes


def test_sizes() -> None:
    """Modules, functions and scripts stay within the house's sizes."""
    too_long = []
    for path in [*MODULES, *LUA]:
        max_lines = SCRIPT_LINES if path.suffix == ".lua" else MODULE_LINES
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > max_lines:
            too_long.append(f"{path.name}: {lines} lines, at most {max_lines}")
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    too_long.append(f"{path.name}: {node.name} {lines} lines")
    assert not too_long, "\n".join(too_long)


# --- keys and words


def constants(path: Path) -> Iterator[tuple[int, str]]:
    """The string constants of a Python file with their lines, without docstrings."""
    parsed = tree(path)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docs = {
        id(node.body[0].value)
        for node in ast.walk(parsed)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(parsed):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value


def test_keys_are_built_in_one_place() -> None:
    """No key is spelled outside mm/store/keys.py."""
    names = "|".join(re.escape(name.removesuffix(":*")) for name in CATALOGUE)
    for path in MODULES:
        if HOUSE.module_name(path) != "mm.store.keys":
            for line, text in constants(path):
                spelled = re.search(rf"\{{mm\}}:|^:({names})(:|$)", text)
                assert not spelled, f"mm/{path.name}:{line}: {text!r}"


def test_every_key_is_used_and_known() -> None:
    """Each catalogue name stands on a KEYS line, and each name that Python asks for is in it."""
    names = {name for script in SCRIPTS for name in (*key_names(script), *read_names(script))}
    assert names == set(CATALOGUE)
    for path in MODULES:
        source = path.read_text(encoding="utf-8")
        for name in re.findall(r"\.(?:named|member)\(\s*\"([^\"]+)\"", source):
            assert name in CATALOGUE, f"mm/{path.name}: {name}"


def sample_story(world: World) -> None:
    """Let every kind of record and field come to be."""
    for mode in ("reducing", "active"):
        world.control(mode, "AAA")
        world.control(mode)
    kept = [make_symbol("AAA", position_limit_lots=90), make_symbol("BBB")]
    kept += [make_symbol("DDD", protection_lots=1), make_symbol("EEE")]
    other = make_symbol("CCC", currency="EUR")
    world.configure(symbols=(*kept, other))
    world.configure(symbols=tuple(kept), limit_units=18)
    world.propose("AAA", ask_lots=1)
    world.propose("DDD", bid_lots=0, ask_lots=2)
    world.propose("BBB", bid_lots=20, ask_lots=0)
    world.trade(
        world.order("sell"), world.order("buy", 2, symbol="DDD"), world.order(symbol="NONE")
    )
    world.scripts.commit(100)
    world.control("flattening", "AAA")
    world.propose("AAA", trigger="position")
    world.trade(world.order("buy"))
    world.scripts.commit(100)
    world.propose("EEE")
    world.client.xadd(world.keys.named("fills"), {"BBB-7": "buy 1 101 c1 o9 BBB-1 1 2"})
    world.scripts.commit(100)
    world.scripts.trim(SYSTEM_ID, "0" * 16, "/archive.db", "0-0", 10, {"AAA": f"1 {'0' * 32}"})
    fields = {"restarts": "0", "wants": "-", "place": "here", "trouble": "-", "done": "-"}
    world.beat("maker-1", first=True, server_run="r1", fields=fields)


def test_documented_fields_are_those_stored(fake: Fake) -> None:
    """The fields of every hash and stream, and the words of every record, are the documented."""
    world = World(fake, small_config(keep_orders=1))
    sample_story(world)
    stored: dict[str, set[str]] = {}
    for key, (kind, content, _) in world.dump().items():
        local = key.removeprefix(world.keys.prefix + ":")
        name = local if local in CATALOGUE else local.partition(":")[0] + ":*"
        assert CATALOGUE[name][0] == kind, key
        if kind == "hash":
            stored.setdefault(name, set()).update(field.decode() for field in content)
        elif kind == "stream":
            for _, record in content:
                pairs = record.items() if isinstance(record, dict) else []
                for field, value in pairs:
                    if name in RECORDS:
                        words = RECORDS[name][1].split()
                        assert len(value.decode().split(" ")) == len(words), (key, value)
                    else:
                        stored.setdefault(name, set()).add(field.decode())
    assert set(stored) - set(FIELDS) == {"config", "seen:*", "archived"}
    market = {field.name for field in fields(Config)} - {
        "symbols",
        "version",
        "partitions",
        "replicas",
    }
    others = {"schema", "system_id", "created_ms", "config_version", "symbols"}
    assert stored["config"] == others | market
    (partition, _) = Partitioned(fake, small_config(partitions=2), "{other}").worlds
    stored["lease"] = set(partition.hash("lease"))
    for name, line in FIELDS.items():
        assert stored[name] == set(line.split()), name


# --- clocks and chance


def dotted(node: ast.AST) -> str:
    """The last two names of an attribute, as in ``time.time`` or ``datetime.now``, else nothing."""
    if not isinstance(node, ast.Attribute):
        return ""
    owner = node.value
    name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
    return f"{name}.{node.attr}"


def clocks_and_chance(path: Path) -> set[tuple[str, str]]:
    """What a module uses of what is banned."""
    module = HOUSE.module_name(path)
    imported = {one.module for one in HOUSE.imports[module]}
    found = {name for name in imported if name.partition(".")[0] in BANNED_MODULES}
    for node in ast.walk(tree(path)):
        if dotted(node) in BANNED_CALLS:
            found.add(dotted(node))
        if isinstance(node, ast.ImportFrom) and node.module in ("time", "os"):
            found.update(f"{node.module}.{a.name}" for a in node.names)
    if module != "mm" and HOUSE.band(module) <= HOUSE.band("mm.store"):
        found.update(imported & {"time"})
    return {(module.removeprefix("mm."), used) for used in found}


def test_no_stray_clocks_or_chance() -> None:
    """No module uses a process clock or random numbers, except those of a list with reasons."""
    found = set[tuple[str, str]]().union(*map(clocks_and_chance, MODULES))
    assert found == set(CLOCKS_AND_CHANCE)


# --- texts


def test_silenced_checkers_are_explained() -> None:
    """Each comment that silences a checker names one rule and has a reason beside or above it."""
    mark = "|".join(("type: " + "ignore", "no" + "qa"))
    for path in [*MODULES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "scripts").glob("*.py")]:
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            if re.search(rf"# ({mark})", line):
                found = re.search(rf"# ({mark})(\[[a-z-]+\]|: [A-Z]+[0-9]+)( +# \S.*)?$", line)
                above = lines[number - 1].strip()
                why = found and (found[3] or above.startswith("#") or above.endswith('"""'))
                assert why, f"{path.name}:{number + 1}: {line.strip()}"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "tests").rglob("test_*.py")), ids=lambda path: path.stem
)
def test_every_test_says_what_it_shows(path: Path) -> None:
    """Each test function has a docstring of a sentence."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            text = ast.get_docstring(node) or ""
            assert re.match(r"\S.*\.", text, re.DOTALL), f"{path.name}:{node.lineno}: {node.name}"
