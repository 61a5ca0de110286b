"""The ordinary way with redis-py: WATCH, read, MULTI, write, EXEC, repeated until EXEC succeeds.

An order takes two round trips: one watches and reads, one writes. The exposure totals are counters.
They need no WATCH where they only fall; a replacement of a quote raises them and watches them.
"""

from __future__ import annotations

import itertools
from typing import Any

import redis

from mm.lab.bench.rivals import common
from mm.lab.bench.rivals.common import Order
from mm.store import open_client

TOTALS = "{w}:exposure"
QUOTE = ("bid", "ask", "bid_lots", "ask_lots", "version", "fills")
POSITION = ("net", "cash", "version")


def _client(url: str) -> redis.Redis:
    """A client with the library's own settings, logged in as this package's clients are."""
    settings = open_client(url).connection_pool.connection_kwargs
    login = {name: settings.get(name) for name in ("username", "password")}
    found: redis.Redis = redis.Redis.from_url(url, **login)
    return found


class Trader:
    """One worker's connection."""

    def __init__(self, url: str, limit: int) -> None:
        # One fixed connection, because WATCH belongs to a connection. And a raw one, because a
        # pipeline of redis-py would send WATCH and each read one after the other.
        self._connection: Any = _client(url).connection_pool.get_connection()
        self._limit = limit

    def _send(self, *commands: tuple[Any, ...]) -> list[Any]:
        self._connection.send_packed_command(self._connection.pack_commands(commands))
        return [self._connection.read_response() for _ in commands]

    def trade(self, order: Order) -> None:
        """Trade one order: repeat its transaction until it succeeds."""
        quote, position = f"{{w}}:quote:{order.symbol}", f"{{w}}:position:{order.symbol}"
        seen, name = f"{{w}}:seen:{order.client}", order.order_id
        for _ in itertools.count():
            _, first, market, held = self._send(
                ("WATCH", quote, position, seen),
                ("HGET", seen, name),
                ("HMGET", quote, *QUOTE),
                ("HMGET", position, *POSITION),
            )
            if first is not None:
                outcome = first.decode()
                writes = [self._report(order, outcome, 1)]
            else:
                outcome, writes = self._match(order, market, held, quote, position)
                writes += [("HSET", seen, name, outcome), self._report(order, outcome, 0)]
            if self._send(("MULTI",), *writes, ("EXEC",))[-1] is None:
                continue
            if outcome.startswith("filled") and (int(market[5]) + 1) % common.REQUOTE == 0:
                self._requote(order.symbol)
            return

    def _match(
        self, order: Order, market: list[Any], held: list[Any], quote: str, position: str
    ) -> tuple[str, list[tuple[Any, ...]]]:
        bid, ask, bid_lots, ask_lots, version, fills = map(int, market)
        net, cash, applied = map(int, held)
        price, left, side = (ask, ask_lots, "ask") if order.buys else (bid, bid_lots, "bid")
        crosses = order.limit >= price if order.buys else order.limit <= price
        lots = min(order.lots, left) if crosses else 0
        if not lots:
            return "canceled 0 - -", []
        seq, signed = fills + 1, -lots if order.buys else lots
        fill_id = f"{order.symbol}-{seq}"
        taker = "buy" if order.buys else "sell"
        fill = f"{taker} {lots} {price} {order.client} {order.order_id} {version}"
        status = "filled" if lots == order.lots else "partially_filled"
        return f"{status} {lots} {price} {fill_id}", [
            ("HSET", quote, f"{side}_lots", left - lots, "fills", seq),
            ("XADD", "{w}:fills", "*", fill_id, fill),
            (
                *("HSET", position, "net", net + signed),
                *("cash", cash - signed * price, "version", applied + 1),
            ),
            ("HINCRBY", TOTALS, f"{side}_units", -lots),
        ]

    def _report(self, order: Order, outcome: str, again: int) -> tuple[Any, ...]:
        stream = f"{{w}}:reports:{order.client}"
        line = f"{outcome} {again}"
        return ("XADD", stream, "MAXLEN", "~", 10_000, "*", order.order_id, line)

    def _requote(self, symbol: str) -> None:
        quote, position = f"{{w}}:quote:{symbol}", f"{{w}}:position:{symbol}"
        while True:
            _, market, held, totals = self._send(
                ("WATCH", quote, position, TOTALS),
                ("HMGET", quote, *QUOTE),
                ("HMGET", position, *POSITION),
                ("HMGET", TOTALS, "bid_units", "ask_units"),
            )
            lots = []
            for left, total in zip(market[2:4], totals, strict=True):
                free = self._limit - (int(total) - int(left))
                lots.append((max(0, min(common.SIZE, free)), int(left)))
            lean = -int(held[0]) // 10_000
            writes = [
                (
                    *("HSET", quote, "version", int(market[4]) + 1),
                    *("bid", common.REFERENCE - common.SPREAD // 2 + lean, "bid_lots", lots[0][0]),
                    *("ask", common.REFERENCE + common.SPREAD // 2 + lean, "ask_lots", lots[1][0]),
                ),
                ("HINCRBY", TOTALS, "bid_units", lots[0][0] - lots[0][1]),
                ("HINCRBY", TOTALS, "ask_units", lots[1][0] - lots[1][1]),
            ]
            if self._send(("MULTI",), *writes, ("EXEC",))[-1] is not None:
                return


def set_up(client: Any, names: list[str]) -> None:
    """Write the first quotes, positions and exposure totals."""
    for name in names:
        market = (10_000 - 5, 10_000 + 5, common.SIZE, common.SIZE, 1, 0)
        client.hset(f"{{w}}:quote:{name}", mapping=dict(zip(QUOTE, market, strict=True)))
        client.hset(f"{{w}}:position:{name}", mapping=dict.fromkeys(POSITION, 0))
    units = len(names) * common.SIZE
    client.hset(TOTALS, mapping={"bid_units": units, "ask_units": units})


def checks(client: Any, names: list[str], done: int, workers: int) -> dict[str, bool]:
    """The checks at the end: what each one shows -> whether it holds."""
    fills = [
        (name.decode(), line.decode().split())
        for _, entry in client.xrange("{w}:fills")
        for name, line in entry.items()
    ]
    sound = True
    left = {"bid_lots": 0, "ask_lots": 0}
    for symbol in names:
        mine = [line for name, line in fills if name.rpartition("-")[0] == symbol]
        net = sum(int(line[1]) * (-1 if line[0] == "buy" else 1) for line in mine)
        held = client.hmget(f"{{w}}:position:{symbol}", POSITION)
        sound = sound and int(held[0] or 0) == net and int(held[2] or 0) == len(mine)
        for side in left:
            left[side] += int(client.hget(f"{{w}}:quote:{symbol}", side) or 0)
    reports = sum(client.hlen(f"{{w}}:seen:c{number}") for number in range(workers))
    totals = [int(value or 0) for value in client.hmget(TOTALS, ["bid_units", "ask_units"])]
    return {
        "each order has one outcome": reports == done,
        "positions are the sums of their fills": sound,
        "exposure is what the quotes have left": totals == list(left.values()),
        "every order filled": len(fills) == done,
    }


def main() -> None:
    """Run, check and print the result."""
    options = common.arguments(__doc__, url=True)
    names, limit = common.symbols(options.symbols), common.limit_lots(options.symbols)
    client: Any = _client(options.url)
    set_up(client, names)

    def work(trader: Trader, mine: list[Order]) -> None:
        for order in mine:
            trader.trade(order)

    rate = common.run(options, lambda: Trader(options.url, limit), work)
    done = options.orders // options.workers * options.workers
    Trader(options.url, limit).trade(common.orders(1, names, 0, options.seed)[0])
    common.print_result(
        {"orders_per_s": rate, "checks": checks(client, names, done, options.workers)}
    )


if __name__ == "__main__":
    main()
