-- Include: a symbol's quote in memory, and the execution of orders against it.

-- INCLUDE base
-- INCLUDE count
-- INCLUDE exposure
-- INCLUDE mode

-- load_book(keys, symbol, notional, mode_of_all, now) -> book, or false when the symbol is unknown. It has
--   fill_seq     the number of the symbol's newest fill
--   refusal      why no order can trade with the quote, or nil
--   sell, buy    the side that sell (buy) orders meet: {ticks, lots (remaining), size_lots}, as text
--   tick_units   units of one lot at a price of one tick, or false when a unit is a lot
--   sides        the sides that load_side() has loaded
--   id_start     how a fill id begins. Most of a step's time makes strings: shared parts are made once
--   outcome_end  how each outcome ends
--   fill_end     how each fill's line ends: quote, instant, and the quote's spread in ticks
local function load_book(keys, symbol, notional, mode_of_all, now)
  local fill_seq = redis.call('HGET', keys.symbol .. symbol, 'fill_seq')
  local notional_units, mode = unpack(redis.call('HMGET', keys.terms .. symbol, 'notional_units', 'mode'))
  if not (fill_seq and notional_units) then
    return false
  end
  local halted, flattened_ms = unpack(redis.call('HMGET', keys.position .. symbol, 'halted', 'flattened_ms'))
  local quote_id, expires_ms, bid_ticks, bid_lots, bid_size_lots, ask_ticks, ask_lots, ask_size_lots =
    unpack(redis.call('HMGET', keys.quote .. symbol, 'quote_id', 'expires_ms', 'bid_ticks',
      'bid_lots', 'bid_size_lots', 'ask_ticks', 'ask_lots', 'ask_size_lots'))
  local refusal = (halted or is_halted(mode_of_all, own_mode(mode, flattened_ms))) and 'halted' or not quote_id and 'no_quote'
    or tonumber(expires_ms) <= now and 'expired' or nil
  local outcome_end = ' ' .. (quote_id or '-')
  local spread = quote_id and tonumber(ask_ticks) - tonumber(bid_ticks) or 0
  return {
    fill_seq = tonumber(fill_seq),
    refusal = refusal,
    sell = { ticks = bid_ticks, lots = bid_lots, size_lots = bid_size_lots },
    buy = { ticks = ask_ticks, lots = ask_lots, size_lots = ask_size_lots },
    tick_units = notional and tonumber(notional_units),
    sides = {},
    id_start = symbol .. '-',
    outcome_end = outcome_end,
    fill_end = outcome_end .. ' ' .. text(now) .. ' ' .. text(spread),
  }
end

-- load_side(book, taker) -> the side that orders of the side `taker` meet. A side has
--   ticks        its price
--   lots         its remaining lots
--   filled       the lots that orders have taken in this step
--   refusal      why no order can trade with it, or nil
--   lot_units    units of one lot
--   fill_start   how each fill's line begins
--   price_word   the price between blanks
local function load_side(book, taker)
  local quoted = book[taker]
  local ticks = tonumber(quoted.ticks) or 0
  local side = {
    ticks = ticks,
    lots = tonumber(quoted.lots),
    filled = 0,
    refusal = book.refusal or quoted.size_lots == '0' and 'no_quote' or nil,
    lot_units = book.tick_units and ticks * book.tick_units or 1,
    fill_start = taker .. ' ',
    price_word = ' ' .. (quoted.ticks or '-') .. ' ',
  }
  book.sides[taker] = side
  return side
end

-- execute(book, client, order_id, taker, lots, limit) -> the outcome of an immediate-or-cancel order:
-- "status reason cum_lots price_ticks fill_id quote_id"; after a fill also its id and its line.
-- Takes the filled lots off the book.
local function execute(book, client, order_id, taker, lots, limit)
  local side = book.sides[taker] or load_side(book, taker)
  local remaining, reason = side.lots, side.refusal
  if not reason then
    if taker == 'buy' and limit < side.ticks or taker == 'sell' and limit > side.ticks then
      reason = 'not_crossing'
    elseif remaining == 0 then
      reason = 'exhausted'
    end
  end
  if reason then
    return 'canceled ' .. reason .. ' 0 - -' .. book.outcome_end
  end
  local filled, status = lots, 'filled - '
  if lots > remaining then
    filled, status = remaining, 'partially_filled exhausted '
  end
  side.lots = remaining - filled
  side.filled = side.filled + filled
  book.fill_seq = book.fill_seq + 1
  local fill_id, filled_word = format('%s%d', book.id_start, book.fill_seq), digits(filled)
  return status .. filled_word .. side.price_word .. fill_id .. book.outcome_end, fill_id,
    side.fill_start .. filled_word .. side.price_word .. client .. ' ' .. order_id .. book.fill_end
end

-- store_books(keys, books) writes what the fills have left of each quote and of its reservation, and
-- the number of the symbol's newest fill, and releases the exposure of the filled lots. `keys` has
-- exposure, symbol, quote and reservation.
local function store_books(keys, books)
  local released, any_fill = { sell = 0, buy = 0 }, false
  for symbol, book in pairs(books) do
    local filled = false
    for taker, side in pairs(book and book.sides or {}) do
      if side.filled > 0 then
        local quoted = taker == 'sell' and 'bid' or 'ask'
        redis.call('HSET', keys.quote .. symbol, quoted .. '_lots', text(side.lots))
        redis.call('HSET', keys.reservation .. symbol, quoted .. '_units',
          text(side.lots * side.lot_units))
        released[taker] = released[taker] + side.filled * side.lot_units
        filled, any_fill = true, true
      end
    end
    if filled then
      redis.call('HSET', keys.symbol .. symbol, 'fill_seq', text(book.fill_seq))
    end
  end
  if any_fill then
    adjust(keys.exposure, -released.sell, -released.buy)
  end
end
