"""How far prices and profits may move before numbers stop being exact."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from mm.cli import main
from mm.market import MAX_INT, default_config, headroom_of, headroom_text
from tests.kit import make_symbol, small_config


def test_room_of_a_symbol() -> None:
    """Both rooms are those of a full position at the reference price, in tenths, rounded down."""
    limit = MAX_INT // 1_000_000
    room = headroom_of(make_symbol(reference_ticks=400_000, position_limit_lots=limit))
    assert (room.price_tenths, room.cash_tenths) == (25, 25)
    room = headroom_of(make_symbol(reference_ticks=410_000, position_limit_lots=limit))
    assert (room.price_tenths, room.cash_tenths) == (24, 24)


def test_multiplier_takes_from_the_price_only() -> None:
    """Exposure counts the multiplier, cash in ticks x lots does not."""
    symbol = make_symbol(position_limit_lots=MAX_INT // 1_000, multiplier=4)
    room = headroom_of(symbol)
    assert (room.price_tenths, room.cash_tenths) == (25, 100)


def test_least_room_of_all_symbols() -> None:
    """The sentence names the symbols with the least room."""
    text = headroom_text(small_config(2, of_symbol={"position_limit_lots": MAX_INT // 1_000}))
    assert "a price of 10.0 times the reference (AAA)" in text
    assert "a cash of 10.0 times a full position (AAA)" in text


def test_config_check_says_it(tmp_path: Path) -> None:
    """``mm config check`` states the room, also when it is ample."""
    path = tmp_path / "mm.toml"
    path.write_text(default_config().to_toml(), encoding="utf-8")
    done = CliRunner().invoke(main, ["config", "check", str(path)])
    assert done.exit_code == 0
    assert "Numbers stay exact up to a price of " in " ".join(done.stdout.split())
