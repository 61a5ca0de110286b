"""``mm rule``: quote rules of one's own."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib import resources
from pathlib import Path

import click

from mm.cli.new_file import write_new_file
from mm.cli.options import file_option, json_option, seed_option
from mm.errors import MMError, UsageError
from mm.market import Config, default_config, load_config
from mm.rule import load_rule, prove
from mm.terminal import progress

#: The function in the file that ``init`` writes.
FUNCTION = "quote"


@click.group("rule")
def rule_command() -> None:
    """Quote rules of your own: begin one, and prove it."""


@rule_command.command("init")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), default="my_rule.py")
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
def rule_init(path: Path, force: bool) -> None:
    """Write a commented quote rule to PATH, or to my_rule.py."""
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise UsageError(f"{path}: it must be the name of a Python module, such as my_rule.py")
    source = resources.files("mm.rule").joinpath("example.py").read_text(encoding="utf-8")
    write_new_file(path, source, force)
    name = f"{path.stem}:{FUNCTION}"
    where = "" if path.parent == Path() else f" in {path.parent}"
    click.echo(
        f"wrote {path}; prove it{where} with `mm rule check {name}`, use it with"
        f" `mm up --rule {name}`"
    )


@rule_command.command("check")
@click.argument("name", metavar="RULE")
@click.option(
    "--cases",
    type=click.IntRange(1, 1_000_000),
    default=2_000,
    show_default=True,
    help="Positions to ask it for.",
)
@seed_option("The same seed makes the same positions.")
@file_option(
    "--config",
    load_config,
    "Configuration file whose symbols it is asked for.  [default: the built-in one]",
)
@json_option
def rule_check(name: str, cases: int, seed: int, config: Config | None, as_json: bool) -> None:
    """Prove a quote rule: a shipped one, or package.module:function.

    It is asked for random positions of each symbol. Each answer must be a quote, and the same when
    the same position comes again, in another order and in another interpreter. Exit status 1
    when one is not.
    """
    rule = load_rule(name)
    with progress("asking the rule"):
        proof = prove(rule, config or default_config(), cases, seed)
    if as_json:
        click.echo(json.dumps({"rule": name, "seed": seed, **asdict(proof)}, indent=2))
    if proof.fault:
        raise MMError(f"rule {name}, case {proof.cases} of seed {seed}: {proof.fault}")
    if not as_json:
        click.echo(
            f"{name}: good. {proof.cases} positions of {proof.symbols} symbols (seed {seed}) gave"
            f" quotes with a spread of {proof.narrowest_ticks} to {proof.widest_ticks} ticks,"
            f" {proof.one_sided} with one side, {proof.without} with none; the same in another"
            " order and in a second interpreter"
        )
