"""Numbers at the edge of exactness: what is quoted can always be committed (R1, R15)."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from mm.audit import audit
from mm.explain import explain
from mm.market import MAX_INT, Config, Order, Symbol
from mm.orders import config_of_tape, read_tape, tape_orders
from tests.kit import Backend, World, assert_sound

LOTS = 4_000_000_000
EDGE = Symbol(
    "EDGE",
    tick=Decimal(1),
    lot=Decimal(1),
    reference_ticks=1_000_000,
    spread_ticks=100_000,
    size_lots=LOTS,
    skew_ticks=0,
    position_limit_lots=LOTS,
)
#: Orders in turn, each as large as the position limit. The maker earns the spread with each pair.
#: So the cash of the symbol grows to the edge of what is exact.
SIDES = ["sell", "buy"] * 10 + ["buy", "sell"] * 15 + ["buy"]


def trade(world: World, orders: list[Order]) -> None:
    """Each order is matched, committed and answered by a new quote before the next one."""
    exchange, state, maker = world.exchange(), world.state(), world.maker()
    maker.step()
    for order in orders:
        world.send(order)
        exchange.step()
        state.step()
        maker.step()
    if not world.backend.is_fake:
        for process in (exchange, state, maker):
            process.close()


def assert_all_applied(world: World) -> None:
    """Every fill that was reported is in the positions, and no symbol is halted."""
    for name in world.names:
        state = world.hash("symbol:*", name)
        assert "halted" not in world.hash("position:*", name)
        assert int(state["fill_seq"]) == world.position(name)["position_version"] > 0
    assert_sound(world)


def test_profit_to_the_edge_of_exact_numbers(backend: Backend) -> None:
    """Cash grows until no lot more is exact: sizes shrink to what is, and every fill is applied."""
    world = World(backend, Config(symbols=(EDGE,), limit_units=5_000_000_000))
    orders = [
        world.order(side, LOTS, 9_000_000 if side == "buy" else 1, "EDGE")  # type: ignore[arg-type]  # it is a side
        for side in SIDES
    ]
    trade(world, orders)
    assert_all_applied(world)
    position = world.position("EDGE")
    assert position["cash_ticks"] > MAX_INT - 2_000_000
    assert position["net_lots"] > -LOTS
    reasons = [
        step["ask"]["reduced_by"]
        for step in explain(world.scripts, "EDGE").facts()["steps"]
        if step["kind"] in ("quote", "omitted")
    ]
    assert ["exact_numbers"] in reasons
    assert {word for words in reasons for word in words} <= {"exact_numbers", "position_limit"}


def test_tape_whose_price_moves(backend: Backend, tmp_path: Path) -> None:
    """The limits that a tape defines leave room for a price that goes from 100 to 154."""
    path = tmp_path / "rise.csv"
    lines = ["ts_ms,symbol,side,price,qty"]
    for number in range(109):
        # The maker sells all it may at 100. Small sells lead its price up. Then it buys twice that.
        small = 6 <= number < 30
        side = "sell" if 6 <= number < 34 else "buy"
        price = f"{100 + Decimal(number) / 2:.2f}000001"
        lines.append(f"{10**12 + number},RISE,{side},{price},{1 if small else 500_000}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    tape = read_tape(path)
    config = config_of_tape(tape)
    world = World(backend, config)
    intents = tape_orders(tape, config, speed=0)
    trade(world, [intent.order("c1", f"o{n}") for n, intent in enumerate(intents)])
    assert_all_applied(world)
    assert len(world.fills()) > 15
    assert audit(world.scripts).ok
