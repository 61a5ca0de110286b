"""``--rule``, the quote rule of makers."""

from __future__ import annotations

import click

from mm.rule import SHIPPED, QuoteRule, load_rule


def _load(_context: click.Context, _option: click.Parameter, name: str | None) -> QuoteRule | None:
    return None if name is None else load_rule(name)


rule_option = click.option(
    "--rule",
    callback=_load,
    metavar="RULE",
    help=f"Quote rule of the makers: {' or '.join(SHIPPED)}, or your own as package.module:function"
    f" (see `mm rule`).  [default: {next(iter(SHIPPED))}]",
)
