"""How far prices and profits may move before numbers stop being exact."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from click.testing import CliRunner

from mm.cli import main
from mm.market import MAX_INT, config_toml, default_config, headroom_of, headroom_text
from tests.kit import make_symbol, notional_config, small_config


def test_room_of_a_symbol() -> None:
    """Both rooms are those of a full position at the reference price, in tenths, rounded down."""
    limit = MAX_INT // 1_000_000
    for ticks, tenths in ((400_000, 25), (410_000, 24)):
        symbol = make_symbol(reference_ticks=ticks, position_limit_lots=limit)
        room = headroom_of(small_config(), symbol)
        assert (room.price_tenths, room.cash_tenths) == (tenths, tenths)


def test_notional_units_take_from_the_price_only() -> None:
    """A price must stay exact in units of exposure too; cash is in ticks x lots."""
    fine = make_symbol("FINE", tick=Decimal("0.0000000001"))
    coarse = make_symbol("COARSE", tick=Decimal("0.05"), multiplier=40_000)
    config = notional_config([fine, coarse], 4 * 10**15)
    assert config.notional_units(coarse) == 2_000 * 10**10
    room = headroom_of(config, coarse)
    assert room.price_tenths == 10 * MAX_INT // (100 * 2_000 * 10**10) == 45
    assert room.cash_tenths == 10 * MAX_INT // (100 * 100)


def test_least_room_of_all_symbols() -> None:
    """The sentence names the symbols with the least room."""
    text = headroom_text(small_config(2, of_symbol={"position_limit_lots": MAX_INT // 1_000}))
    assert "a price of 10.0 times the reference (AAA)" in text
    assert "a cash of 10.0 times a full position (AAA)" in text


def test_config_check_says_it(tmp_path: Path) -> None:
    """``mm config check`` states the room, also when it is ample."""
    path = tmp_path / "mm.toml"
    path.write_text(config_toml(default_config()), encoding="utf-8")
    done = CliRunner().invoke(main, ["config", "check", str(path)])
    assert done.exit_code == 0
    assert "Numbers stay exact up to a price of " in " ".join(done.stdout.split())
