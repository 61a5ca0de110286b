"""The small worlds that are explored: tiny limits, lives of a few ms, a few orders."""

from __future__ import annotations

from typing import Any

from mm.market import Config
from tests.hunts.explorer.parts import Spec
from tests.kit import small_config


def order(number: int, symbol: str, side: str, lots: int | str) -> tuple[str, str]:
    """A marketable order's field and value."""
    return (f"o{number}", f"c1 {symbol} {side} {lots} {1_000 if side == 'buy' else 1}")


def tiny(symbols: int = 2, limit: int = 3, size: int = 2, **changes: Any) -> Config:
    """A configuration whose limit binds and whose quotes live for a few ms."""
    values: dict[str, Any] = {"quote_ttl_ms": 3, "refresh_ms": 1} | changes
    return small_config(symbols, limit, size, **values)


BUY = order(1, "AAA", "buy", 1)
MAIL = ("o1", "c2 AAA sell 1 1")

#: Every world by its name; what each adds stands beside it.
WORLDS = {
    spec.name: spec
    for spec in (
        # Two makers that both quote everything, one order and its double, an orphaned proposal.
        Spec("core", tiny(), orders=(BUY,)),
        # The same from empty keys: bootstrap, and the first listening of each maker.
        Spec("cold", tiny(), orders=(BUY,), warm=False),
        # Small enough to be explored to its end: one maker, one order, time, deaths.
        Spec("whole", tiny(), orders=(BUY,), makers=1, again=0, zombie=False),
        # Several orders, two of them in one entry, one malformed, one exhausting; a position limit
        # and a lean that bind.
        Spec(
            "orders",
            tiny(of_symbol={"position_limit_lots": 2, "skew_ticks": 2}),
            orders=(
                (*BUY, *order(2, "BBB", "sell", 3)),
                order(3, "AAA", "buy", "x"),
                order(4, "AAA", "buy", 2),
            ),
            makers=1,
        ),
        # Another order under a used id, and a malformed one: before or after the first is matched,
        # and the first may come again.
        Spec(
            "conflict",
            tiny(),
            orders=(BUY, order(1, "BBB", "sell", 1), order(1, "AAA", "buy", "x")),
            makers=1,
            zombie=False,
        ),
        # Three symbols compete for a limit of four lots.
        Spec("three", tiny(3, 4), orders=(BUY,), makers=1, zombie=False),
        # Units are money: a lot costs 100 units more or less, and the budget is 350.
        Spec("notional", tiny(2, 350, mode="notional"), orders=(BUY,), again=0),
        # A foreign hand appends a record to the ledger: the symbol halts, the other goes on.
        Spec(
            "halt",
            tiny(),
            orders=(BUY, order(2, "BBB", "buy", 1)),
            again=0,
            makers=1,
            rogue=("AAA-9", "buy 1 101 c9 x1 AAA-1 0"),
        ),
        # Orders come again before, at and after the bounds of a short deduplication window.
        Spec("window", tiny(dedup_window_ms=4), orders=(BUY,), again=2, makers=1, zombie=False),
        # The server restarts: connections and scripts are gone. Two exchanges.
        Spec("restart", tiny(), orders=(BUY,), again=0, makers=1, exchanges=2, restarts=1),
        # Somebody ends the quotes while makers work and their proposals are on the way.
        Spec("withdraw", tiny(), orders=(BUY,), again=0, makers=1, withdrawals=2),
        # An operator halts, reduces and resumes while orders and proposals are on the way.
        Spec(
            "modes",
            tiny(),
            orders=(BUY,),
            again=0,
            makers=1,
            controls=(("reducing", "AAA"), ("halted",), ("active",), ("flattening", "AAA")),
        ),
        # A symbol is flattened while orders come on both of its sides.
        Spec(
            "flatten",
            tiny(),
            orders=(BUY, order(2, "AAA", "sell", 1)),
            again=0,
            makers=1,
            controls=(("flattening", "AAA"),),
        ),
        # An operator lowers the limit and a size, retires a symbol, and takes all of it back, while
        # orders and proposals are on the way.
        Spec(
            "config",
            tiny(2, 4),
            orders=(BUY,),
            again=0,
            makers=1,
            configs=(
                tiny(2, 2),
                tiny(1, 2, of_symbol={"size_lots": 1, "position_limit_lots": 1}),
                tiny(2, 4),
            ),
        ),
        # Two orders together trade more than a symbol may, if they come within one window: then it
        # is frozen, and quoted again.
        Spec(
            "protect",
            tiny(
                of_symbol={"protection_lots": 1},
                protection_window_ms=2,
                protection_freeze_ms=2,
            ),
            orders=(BUY, order(2, "AAA", "sell", 1)),
            again=0,
            makers=1,
        ),
        # Two clients send to their inboxes, one of them also under the other's name; two exchanges.
        Spec(
            "inbox",
            tiny(),
            mail=(("c1", BUY), ("c2", ("o2", "c1 AAA buy 2 1000", *MAIL)), ("c2", MAIL)),
            again=0,
            makers=1,
            exchanges=2,
            zombie=False,
        ),
        # An operator examines a halted symbol; its repair may come when the symbol has traded on.
        Spec(
            "repair",
            small_config(1, 3, 2, dedup_window_ms=10**12),
            orders=(BUY, order(2, "AAA", "sell", 1)),
            again=0,
            makers=1,
            zombie=False,
            ticks=False,
            grain_ms=60_000,
            controls=(("halted", "AAA"), ("active", "AAA"), ("halted", "AAA")),
            repair="AAA",
        ),
        # Fills are archived and leave the ledger. An archivist dies at each step, a call of it
        # comes late, an old copy of the archive is put back. The others live: no death of theirs
        # meets the archive.
        Spec(
            "archive",
            small_config(2, 3, 2, dedup_window_ms=10**12, keep_fills=1),
            orders=(BUY, order(2, "AAA", "sell", 1), order(3, "BBB", "sell", 1)),
            again=0,
            makers=1,
            zombie=False,
            crashes=False,
            archives=True,
            ticks=False,
            grain_ms=60_000,
        ),
        # Processes connect, beat and share the symbols; the quotes outlive a silence.
        Spec(
            "presence",
            tiny(quote_ttl_ms=4_000, refresh_ms=1_500),
            orders=(BUY,),
            again=0,
            zombie=False,
            withdrawals=1,
            presence=True,
        ),
        # Lives as in production; no time passes, so that a trace plays on a real server's clock.
        Spec(
            "still",
            small_config(2, 3, 2, dedup_window_ms=10**12),
            orders=(BUY, order(2, "BBB", "sell", 1)),
            ticks=False,
            grain_ms=60_000,
        ),
    )
}

#: How many states of each are explored in the normal test run, and by ``scripts/explore``.
QUICK = {
    "core": 4_000,
    "cold": 1_000,
    "orders": 1_500,
    "conflict": 1_500,
    "three": 1_000,
    "notional": 800,
    "halt": 1_200,
    "window": 1_200,
    "restart": 1_000,
    "withdraw": 1_000,
    "modes": 1_500,
    "flatten": 1_200,
    "config": 1_500,
    "protect": 1_200,
    "inbox": 1_500,
    "repair": 1_000,
    "archive": 2_000,
    "presence": 1_000,
    "still": 800,
}
FULL = {
    "core": 100_000,
    "cold": 50_000,
    "whole": 50_000,
    "orders": 60_000,
    "conflict": 60_000,
    "three": 60_000,
    "notional": 50_000,
    "halt": 50_000,
    "window": 50_000,
    "restart": 50_000,
    "withdraw": 50_000,
    "modes": 60_000,
    "flatten": 50_000,
    "config": 60_000,
    "protect": 50_000,
    "inbox": 60_000,
    "repair": 5_000,
    "archive": 60_000,
    "presence": 50_000,
    "still": 40_000,
}
