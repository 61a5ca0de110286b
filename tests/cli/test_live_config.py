"""``mm config show``, ``diff`` and ``apply``: what they change, say and refuse (R23)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mm.errors import ConfigDiffers
from mm.host import System
from mm.market import load_config
from mm.store import join_system
from tests.kit import Fake, World, small_config
from tests.kit.commands import invoke


@pytest.fixture
def file(market: World, tmp_path: Path) -> Path:
    """The configuration as ``mm config show`` prints it, in a file."""
    path = tmp_path / "mm.toml"
    path.write_text(invoke("config", "show").stdout, encoding="utf-8")
    return path


def edit(path: Path, *changes: tuple[str, str]) -> None:
    """Replace texts of the file, each of which it has."""
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def test_what_is_shown_applies(market: World, file: Path) -> None:
    """The printed configuration is the stored one: nothing differs, and nothing is written."""
    assert load_config(file) == market.config
    before = market.dump()
    same = invoke("config", "diff", file)
    assert same.exit_code == 0
    assert "nothing differs from configuration version 1" in same.stdout
    done = invoke("config", "apply", file)
    assert (done.exit_code, "nothing differs" in done.stdout) == (0, True)
    assert market.dump() == before


def test_diff_then_apply(market: World, file: Path) -> None:
    """Both name the same changes; the second makes them, and a third time finds none."""
    edit(file, ("limit_units = 100", "limit_units = 60"), ('"BBB"', '"DDD"'))
    seen = invoke("config", "diff", file)
    assert seen.exit_code == 1
    done = invoke("config", "apply", file, "--why", "less risk", "--who", "ann")
    assert done.exit_code == 0, done.output
    for line in (
        "all symbols: limit_units 100 -> 60",
        "DDD: new, tick=0.01 lot=1 ",
        "BBB: retired: reduced until flat, then closed",
    ):
        assert line in seen.stdout
        assert line in done.stdout
    assert "configuration version 1 -> 2" in done.stdout
    assert "withdrawn, placed anew by the makers: BBB-1" in done.stdout
    told = [dict(entry) for _, entry in market.stream("operations")]
    assert [one["op"] for one in told] == ["config", "add", "retire"]
    assert {(one["who"], one["why"]) for one in told} == {("ann", "less risk")}
    assert invoke("config", "diff", file).exit_code == 0
    story = " ".join(invoke("explain", "DDD").stdout.split())
    assert "ann added DDD (tick=0.01 " in story
    assert "ann changed the configuration, config_version=1 limit_units=100 to" in story


def test_json(market: World, file: Path) -> None:
    """Programs get every change with its fields, before and after."""
    edit(file, ("limit_units = 100", "limit_units = 101"))
    expected = [
        {
            "change": "market",
            "symbol": None,
            "fields": {"limit_units": {"before": "100", "after": "101"}},
        }
    ]
    found: Any = json.loads(invoke("config", "diff", file, "--json").stdout)
    assert (found["config_version"], found["changes"]) == (1, expected)
    found = json.loads(invoke("config", "apply", file, "--json").stdout)
    assert (found["config_version"], found["changes"]) == (2, expected)
    assert found["quotes_withdrawn"] == []
    found = json.loads(invoke("config", "show", "--json").stdout)
    assert found["config_version"] == 2
    assert "limit_units = 101" in found["toml"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('tick = "0.01"', 'tick = "0.02"', "symbol AAA: tick 0.01 -> 0.02: it never changes"),
        ("dedup_window_ms = 86400000", "dedup_window_ms = 1", "dedup_window_ms 86400000 -> 1: it"),
        ("limit_units = 100", "limit_units = 0", "limit_units 0"),
        ("keep_quotes", "keeps_quotes", "unknown field 'keeps_quotes'"),
    ],
)
def test_what_cannot_be(market: World, file: Path, old: str, new: str, said: str) -> None:
    """Exit status 2 with the field and the rule, and nothing is written."""
    edit(file, (old, new))
    before = market.dump()
    done = invoke("config", "apply", file)
    assert (done.exit_code, market.dump() == before) == (2, True), done.output
    assert said in done.stderr


def test_a_closed_symbol_is_quiet(market: World, file: Path) -> None:
    """A retired symbol is said while it has a position; closed, it stops nothing and says so."""
    market.trade(market.order("buy", 3, symbol="BBB"))
    market.drain()
    text = file.read_text(encoding="utf-8")
    head, *symbols = text.split("[[symbol]]")
    file.write_text("[[symbol]]".join([head, symbols[0], symbols[2]]), encoding="utf-8")
    assert invoke("config", "apply", file, "--why", "delisted", "--who", "ann").exit_code == 0
    shown = invoke("quotes").stdout
    assert "BBB is retired, quoted only to shrink its position, and then halted, by ann" in shown
    market.propose("BBB", trigger="expired")
    market.trade(market.order("sell", 3, symbol="BBB"))
    market.drain()
    found = json.loads(invoke("status", "--json").stdout)
    assert found["modes"] == []
    assert not any("BBB" in words for words in found["trouble"])
    shown = invoke("quotes").stdout
    assert " closed " in shown or "closed\n" in shown
    assert "BBB is" not in shown
    assert "it is retired" in invoke("explain", "BBB").stdout


def test_the_way_out_of_another_configuration(market: World, file: Path) -> None:
    """A start with another configuration names the commands that change it."""
    edit(file, ("limit_units = 100", "limit_units = 101"))
    with pytest.raises(ConfigDiffers, match="mm config apply FILE"):
        join_system(market.scripts, load_config(file), "relaxed")


def test_a_freeze_is_said(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it lasts every reading command says it; without an end of its own it is a trouble."""
    for freeze_ms, lasts in ((60_000, "until 2023-11-14T22:14:20Z"), (0, "until an operator resu")):
        world = World(fake, small_config(2, 100, protection_freeze_ms=freeze_ms))
        monkeypatch.setattr(System, "scripts", lambda _self, world=world, **_: world.make_scripts())
        first, second = world.config.symbols
        world.configure(symbols=(replace(first, protection_lots=2), second))
        world.propose()
        world.trade(world.order("buy", 3))
        world.drain()
        shown = " ".join(invoke("quotes").stdout.split())
        assert f"AAA is frozen by its protection, {lasts}" in shown
        assert "traded 3 lots, more than 2 within 10000 ms" in shown
        assert (" TROUBLE: AAA is frozen" in shown) == (freeze_ms == 0)
        (row, _) = json.loads(invoke("quotes", "--json").stdout)
        assert row["frozen"] == "traded 3 lots, more than 2 within 10000 ms"
        story = " ".join(invoke("explain", "AAA").stdout.split())
        assert "the state service froze AAA by its protection, frozen_until_ms=" in story
        assert "it is frozen by its protection: traded 3 lots" in story
        done = " ".join(invoke("resume", "AAA").stdout.split())
        assert "its freeze is ended (traded 3 lots, more than 2 within 10000 ms)" in done
        assert "frozen" not in invoke("quotes").stdout
        fake.client().flushall()
