"""Write ``docs/reference.md`` and ``docs/openapi.json`` from the code.

``--check`` fails when one of them is out of date.

The same code gives the same text: terminal, time and machine have no influence.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path

import click

from mm.audit import INVARIANTS
from mm.cli import main as command_line
from mm.gateway import openapi_document
from mm.market import MARKET_FIELDS, REASONS, REFUSALS, TEMPLATE, Config
from mm.metrics import METRICS
from mm.store import ROLES, Keys, script_names
from mm.store.keys import CATALOGUE, FIELDS, RECORDS
from mm.store.lua import key_names, read_names, script_text

DOCS = Path(__file__).resolve().parent.parent / "docs"
TARGET, OPENAPI = DOCS / "reference.md", DOCS / "openapi.json"

INTRODUCTION = """\
# Reference

Written from the code by `scripts/reference`; changes made here by hand are lost.

[Commands](#commands) ·
[HTTP](#http) ·
[Streams](#streams) ·
[Keys](#keys) ·
[Scripts](#scripts) ·
[Roles](#roles) ·
[Reasons](#reasons) ·
[Refusals](#refusals) ·
[Invariants](#invariants) ·
[Metrics](#metrics) ·
[Configuration](#configuration) ·
[Exit statuses](#exit-statuses)

Sides, here and on every screen, are those of orders: after a `sell` the maker's position is larger,
after a `buy` smaller. Times are UTC. In fields whose names end in `_ms` they are milliseconds since
1970.
"""

#: The options of ``mm.cli.options.system_options``, described once.
COMMON = ("data_dir", "redis_url", "prefix", "durability")

#: The member that stands for the ``*`` of a family of keys.
MEMBERS = {"reports:*": "CLIENT_ID", "seen:*": "BUCKET", "process:*": "KIND-ID"}

#: The parts of a script's header.
HEADER_PARTS = ("KEYS", "READS", "ARGV", "REPLY", "ERRORS", "EMITS")

EXIT_STATUSES = {
    "0": "the command succeeded; for `mm audit` and `mm up`: every invariant holds",
    "1": "the command failed: no server answers, the server or its data may not be used by this"
    " system, an answer came too late, or an audit found a violation. `mm order`: the order was"
    " rejected. `mm status`: something stops trading. `mm up`: also when a symbol is halted, a"
    " child never came up, or the data directory was removed",
    "2": "the command line, a configuration or a value breaks a rule",
    "3": "`mm order`: nothing was filled, and nothing went wrong",
    "4": "a child process ended because its `mm up` had ended",
    "128 + n": "signal n (130 SIGINT, 143 SIGTERM, 129 SIGHUP) broke off a start, `mm bench`,"
    " `mm flow`, or `mm chaos` before its first round was judged. A run that a signal stops in"
    " order ends with 0 or 1",
}


def row(cells: Iterable[str]) -> str:
    """One row of a table; a bar inside a cell is escaped."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with these column heads."""
    return "\n".join([row(head), row("---" for _ in head), *map(row, rows)])


# --- commands


def walk(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """The command and those below it, each with the words that call it, in alphabetical order."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in sorted(command.list_commands(context)):
            found = command.get_command(context, name)
            assert found is not None
            yield from walk(found, f"{path} {name}")


def value_of(parameter: click.Parameter) -> str:
    """The kind of value that a parameter takes; empty for a flag."""
    kind = parameter.type
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return ""
    if isinstance(kind, click.Choice):
        return " or ".join(str(choice) for choice in kind.choices)
    if isinstance(kind, click.IntRange | click.FloatRange):
        noun = "integer" if isinstance(kind, click.IntRange) else "number"
        ends = [f"from {kind.min}" if kind.min is not None else ""]
        ends.append(f"to {kind.max}" if kind.max is not None else "")
        return " ".join(part for part in [noun, *ends] if part)
    return kind.name


def default_of(option: click.Option) -> str:
    """The default of an option whose help shows it, or that it must be given, else nothing."""
    if option.required:
        return "must be given"
    return f"`{option.default}`" if option.show_default else ""


def options_table(options: Iterable[click.Option]) -> str:
    """The options of a command as a table; empty without any."""
    rows = []
    for option in options:
        names = ", ".join(f"`{name}`" for name in option.opts)
        text = option.help or ""
        default = default_of(option)
        if found := re.search(r"\s*\[default: (.*)\]$", text):
            text, default = text[: found.start()], found[1]
        if option.envvar and option.show_envvar:
            text += f" Also from the environment, `{option.envvar}`."
        rows.append([names, value_of(option), default, text.strip()])
    return table(["option", "value", "default", "meaning"], rows) if rows else ""


def argument_word(argument: click.Argument) -> str:
    """An argument as the command's first line shows it."""
    if isinstance(argument.type, click.Choice):
        return "{" + "|".join(str(choice) for choice in argument.type.choices) + "}"
    word = argument.metavar or str(argument.name).upper()
    return word if argument.required else f"[{word}]"


def command_section(path: str, command: click.Command) -> list[str]:
    """One command: what it does, its arguments and its options."""
    options = [one for one in command.params if isinstance(one, click.Option)]
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    common = {one.name for one in options}.issuperset(COMMON)
    words = [path]
    words += [argument_word(one) for one in arguments]
    if isinstance(command, click.Group):
        words.append("COMMAND")
    elif options:
        words.append("[OPTIONS]")
    parts = [f"### {path}", f"`{' '.join(words)}`", inspect.cleandoc(command.help or "")]
    parts.append(options_table(one for one in options if not (common and one.name in COMMON)))
    if common:
        parts.append("And the [options that find a system](#options-that-find-a-system).")
    return parts


def commands() -> list[str]:
    """All commands."""
    parts = ["## Commands"]
    shared: list[click.Option] = []
    for path, command in walk(command_line, "mm"):
        found = {one.name: one for one in command.params if isinstance(one, click.Option)}
        if found.keys() >= set(COMMON):
            shared = [found[name] for name in COMMON]
        parts += command_section(path, command)
    parts += ["### Options that find a system", options_table(shared)]
    return parts


# --- HTTP


def http() -> list[str]:
    """The operations of the gateway's API, from its description."""
    rows = [
        [
            f"`{method.upper()} {path}`",
            found["summary"],
            found.get("description", "everybody.").removeprefix("For the token of: ")[:-1],
            " ".join(found["responses"]),
        ]
        for path, methods in openapi_document()["paths"].items()
        for method, found in methods.items()
    ]
    return [
        "## HTTP",
        "What `mm serve` answers. [openapi.json](openapi.json) has all parameters and shapes, and"
        " [GATEWAY.md](GATEWAY.md) says how to use it.",
        table(["request", "what it does", "whose token", "statuses"], rows),
    ]


# --- streams, keys, scripts


def key(name: str) -> str:
    """A catalogue name as the key that `redis-cli` shows."""
    return Keys().named(name) + (MEMBERS.get(name, "SYMBOL") if name.endswith("*") else "")


def streams() -> list[str]:
    """The record formats of all streams."""
    packed = [[f"`{key(name)}`", f"`{of}`", f"`{line}`"] for name, (of, line) in RECORDS.items()]
    named = [
        [f"`{key(name)}`", f"`{FIELDS[name]}`"]
        for name, (kind, _) in CATALOGUE.items()
        if kind == "stream" and name in FIELDS
    ]
    return [
        "## Streams",
        "In these streams an entry is one atomic step, and each field of an entry is one record."
        " The field's value is a line of words in this order, `-` for none. A field name stands"
        " once in an entry.",
        table(["stream", "field name", "field value"], packed),
        "These streams have a named field for each value.",
        table(["stream", "fields"], named),
    ]


def keys() -> list[str]:
    """All keys with type, meaning and fields."""
    rows = []
    for name, (kind, meaning) in CATALOGUE.items():
        stored = FIELDS.get(name, "") if kind == "hash" else ""
        if name == "config":
            stored = " ".join(["schema", "system_id", "created_ms", "symbols", *stored_fields()])
        rows.append([f"`{key(name)}`", kind, meaning, f"`{stored}`" if stored else ""])
    note = (
        "`{mm}` is the default prefix (`--prefix`). Numbers are decimal text; times are"
        " milliseconds of the server's clock."
    )
    return ["## Keys", note, table(["key", "type", "holds", "fields"], rows)]


def header(name: str) -> tuple[str, dict[str, str]]:
    """A script's header: what it does, and its parts by name, each joined to one line."""
    what: list[str] = []
    parts: dict[str, list[str]] = {}
    current = what
    for line in script_text(name).splitlines():
        if line.startswith("#!"):
            continue
        if not line.startswith("--"):
            break
        text = line.removeprefix("--").strip()
        first, _, rest = text.partition(" ")
        if first in HEADER_PARTS:
            current = parts.setdefault(first, [])
            text = rest.strip()
        current.append(text)
    return plain(" ".join(what)), {part: plain(" ".join(lines)) for part, lines in parts.items()}


def plain(text: str) -> str:
    """Text in which nothing reads as a tag or as emphasis."""
    return re.sub(r"([<*])", r"\\\1", " ".join(text.split()))


def scripts() -> list[str]:
    """All scripts from their headers."""
    parts = [
        "## Scripts",
        "Each script is one atomic step. Nothing else writes, except for the XADD by which a client"
        " sends an order. `mm.store.Scripts` has a method of the same name.",
    ]
    for name in script_names():
        what, found = header(name)
        parts += [f"### {name}.lua", what]
        found["KEYS"] = " ".join(f"`{one}`" for one in key_names(name))
        found["READS"] = " ".join(f"`{one}`" for one in read_names(name))
        shown = [part for part in HEADER_PARTS if found[part]]
        parts.append("\n".join(f"- **{part}** {found[part]}" for part in shown))
    return parts


def roles() -> list[str]:
    """The users of a server, and the scripts that each runs."""
    rows = [
        (
            f"`{name}-N`" if role.of_clients else f"`{name}`",
            role.what,
            " ".join(sorted(role.scripts)),
        )
        for name, role in ROLES.items()
    ]
    return [
        "## Roles",
        "The users of the managed server. `mm acl` prints their rights; what they are worth is in"
        " [SECURITY.md](SECURITY.md).",
        table(["user", "what it does", "scripts"], rows),
    ]


# --- words and configuration


def words() -> list[str]:
    """Reason words, refusal codes and invariants."""
    return [
        "## Reasons",
        "Why an order was not filled in full, in its report and on the dead-letter stream.",
        table(["reason", "meaning"], ([f"`{word}`", text] for word, text in REASONS.items())),
        "## Refusals",
        "Why `place.lua` refused a proposal. A refusal changes nothing.",
        table(["code", "rule"], ([f"`{code}`", text] for code, text in REFUSALS.items())),
        "## Invariants",
        "What `mm audit` checks, at one instant.",
        table(["name", "what holds"], ([f"`{name}`", text] for name, text in INVARIANTS.items())),
    ]


def stored_fields() -> list[str]:
    """The fields of the configuration that the config hash has, in their order."""
    left_out = ("symbols", "version")
    return ["config_version", *(one.name for one in fields(Config) if one.name not in left_out)]


def config_fields() -> list[str]:
    """The fields of [market], in their order."""
    return list(MARKET_FIELDS)


def market_comments() -> dict[str, str]:
    """The comment of each field of [market], which stands above the field or above its group."""
    found: dict[str, str] = {}
    comment: list[str] = []
    fresh = True
    section = TEMPLATE.partition("[market]")[2].partition("# The symbols.")[0]
    for line in section.splitlines():
        if optional := re.match(r"#(\w+) = ", line):
            found[optional[1]] = " ".join(comment)
            fresh = True
        elif line.startswith("#"):
            comment = [] if fresh else comment
            comment.append(line.removeprefix("#").strip())
            fresh = False
        elif "=" in line:
            found[line.partition("=")[0].strip()] = " ".join(comment)
            fresh = True
    return found


def symbol_comments() -> list[tuple[str, str]]:
    """The rows of the template's list of a symbol's parameters."""
    return re.findall(r"^#   (\w+(?:, \w+)*) {2,}(\S.*)$", TEMPLATE, re.MULTILINE)


def configuration() -> list[str]:
    """All configuration fields with their defaults."""
    defaults = {field.name: field.default for field in fields(Config)}
    comments = market_comments()
    rows = [
        [f"`{name}`", f"`{defaults[name]}`" if defaults.get(name) else "none", comments[name]]
        for name in config_fields()
    ]
    return [
        "## Configuration",
        "A TOML file; `mm config init` writes one with the defaults.",
        "`[market]`:",
        table(["field", "default", "meaning"], rows),
        "`[[symbol]]`, once for each symbol, with its `name` and:",
        table(["field", "meaning"], ([f"`{name}`", text] for name, text in symbol_comments())),
    ]


def exit_statuses() -> list[str]:
    """The meaning of each exit status."""
    return ["## Exit statuses", table(["status", "meaning"], EXIT_STATUSES.items())]


def metrics() -> list[str]:
    """All metrics of /metrics."""
    rows = [
        [f"`{name}`", one.kind, " ".join(f"`{label}`" for label in one.labels), one.meaning]
        for name, one in METRICS.items()
    ]
    return [
        "## Metrics",
        "What `/metrics` serves for Prometheus. Figures are floating point numbers there; exact"
        " ones are in `--json`. Times of orders are whole milliseconds. Counts since the start of a"
        " process or of the reader begin anew with it, as Prometheus expects of a counter; the"
        " others are stored. How they are read is in"
        " [OPERATING.md](OPERATING.md#metrics-and-alerts).",
        table(["metric", "kind", "labels", "meaning"], rows),
    ]


def render() -> str:
    """The whole file."""
    parts = [INTRODUCTION.strip(), *commands(), *http(), *streams(), *keys(), *scripts(), *roles()]
    parts += [*words(), *metrics(), *configuration(), *exit_statuses()]
    return "\n\n".join(part for part in parts if part) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the files, or with ``--check`` compare them; the exit status."""
    texts = {TARGET: render(), OPENAPI: f"{json.dumps(openapi_document(), indent=1)}\n"}
    if list(arguments) == ["--check"]:
        for path, text in texts.items():
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                sys.stderr.write(f"docs/{path.name} is out of date: run scripts/reference\n")
                return 1
        return 0
    if arguments:
        sys.stderr.write("usage: scripts/reference [--check]\n")
        return 2
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
