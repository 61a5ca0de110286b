"""The options of a tape, of the commands that send orders."""

from __future__ import annotations

import click

from mm.cli.options import Positive, file_option
from mm.orders import read_tape

tape_option = file_option(
    "--tape",
    read_tape,
    "CSV file of trades to send as orders, in place of the synthetic flow, packed with gzip or not:"
    " ts_ms,symbol,side,price,qty.",
)
paced_option = click.option(
    "--paced",
    is_flag=True,
    help="Send the next trade of the tape when the quotes have answered the last one. So a replay"
    " is reproducible, also with --speed 0.",
)
speed_option = click.option(
    "--speed",
    type=Positive(zero=True),
    default=1,
    show_default=True,
    help="Speed of the tape: 1 is real time, 10 is ten times faster, 0 is flat out.",
)
