"""The options that find a system: what is typed beats the environment, that beats the default."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from mm.cli.options import process_options, system_options
from mm.errors import UsageError
from mm.host import System

URL, OTHER = "redis://one:1/0", "redis://other:2/0"
BOTH_KINDS = pytest.mark.parametrize("options", [system_options, process_options])


def run_with(options: Callable[..., Any], words: list[str], environment: dict[str, str]) -> Result:
    """A command with these options that says which system it found."""

    @click.command()
    @options
    def show(system: System) -> None:
        click.echo(f"{system.data_dir.path} {system.redis_url}")

    return CliRunner().invoke(show, words, env=environment)


@BOTH_KINDS
@pytest.mark.parametrize(
    ("words", "environment", "found"),
    [
        ([], {}, "mm-data None"),
        ([], {"MM_REDIS_URL": URL}, f"mm-data {URL}"),
        ([], {"MM_DATA_DIR": "e"}, "e None"),
        ([], {"MM_DATA_DIR": "", "MM_REDIS_URL": ""}, "mm-data None"),
        ([], {"MM_DATA_DIR": "e", "MM_REDIS_URL": URL}, f"e {URL}"),
        (["--data-dir=d"], {"MM_REDIS_URL": URL}, "d None"),
        (["--data-dir=d"], {"MM_DATA_DIR": "e", "MM_REDIS_URL": URL}, "d None"),
        (["--data-dir=mm-data"], {"MM_REDIS_URL": URL}, "mm-data None"),
        ([f"--redis-url={OTHER}"], {"MM_REDIS_URL": URL}, f"mm-data {OTHER}"),
        ([f"--redis-url={OTHER}"], {"MM_DATA_DIR": "e"}, f"e {OTHER}"),
    ],
)
def test_what_is_typed_names_the_system(
    options: Callable[..., Any], words: list[str], environment: dict[str, str], found: str
) -> None:
    """A typed --data-dir is not overruled by a URL in the environment, nor a typed URL."""
    assert run_with(options, words, environment).stdout == f"{found}\n"


def test_two_typed_systems() -> None:
    """A command that reads or trades refuses both; processes keep their logs in the directory."""
    words = ["--data-dir=d", f"--redis-url={URL}"]
    refusal = run_with(system_options, words, {}).exception
    assert isinstance(refusal, UsageError)
    assert "name two systems" in str(refusal)
    assert run_with(process_options, words, {}).stdout == f"d {URL}\n"


@BOTH_KINDS
def test_no_name_is_no_directory(options: Callable[..., Any]) -> None:
    """An empty --data-dir, as from an unset variable, is refused: it is not the current one."""
    done = run_with(options, ["--data-dir="], {})
    assert done.exit_code == 2
    assert "the name of a directory is missing" in done.stderr
