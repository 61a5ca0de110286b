"""A quote rule of your own: edit it, prove it with `mm rule check`, run it with `mm up --rule`.

A maker calls it whenever a quote is due. It must be a pure function: the same position and the same
symbol give the same quote on every machine. So it reads no clock, no file and no random number, and
keeps nothing from call to call. A rule that raises, or returns what is no quote, costs its symbol
its quote and nothing else; the screens then say so.
"""

from mm.market import Position, Prices, Symbol


def quote(position: Position, symbol: Symbol) -> Prices | None:
    """Quote round the mean of the last trades, wider after rough ones, and lean against inventory.

    ``position`` has ``net_lots``, ``cost_ticks`` (what the open lots cost), ``last_price_ticks``,
    ``fair_ticks`` (which follows all trades) and ``trades``, the last 16, newest last: ``ticks``
    and ``lots``, the change of your position. ``symbol`` has the fields of the configuration file.
    """
    prices = [trade.ticks for trade in position.trades] or [symbol.reference_ticks]
    fair = sum(prices) // len(prices)
    half = max(symbol.spread_ticks // 2, (max(prices) - min(prices)) // 4)
    # A long position lowers the quote, so that the next fill more likely makes it smaller.
    middle = fair - position.net_lots * symbol.skew_ticks // symbol.position_limit_lots
    bid = max(middle - half, 1)
    ask = max(middle + half, bid + symbol.spread_ticks)
    # Integers are ticks and lots. Return Decimals to speak in prices and quantities, and None for
    # no quote. The exposure limit and the position limit are kept for you.
    return Prices(bid, symbol.size_lots, ask, symbol.size_lots)
