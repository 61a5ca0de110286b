-- Snippet: a symbol's quote in memory, and what it does to one order.

-- load_book(keys, symbol, notional) -> {seq, halted, id, expires, bid, ask}, each side with ticks,
-- lots (remaining), size (as placed), unit (of a lot) and filled; false when the symbol is unknown.
local function load_book(keys, symbol, notional)
  local s = redis.call('HMGET', keys.symbol .. symbol, 'fill_seq', 'halted', 'multiplier')
  if not s[1] then
    return false
  end
  local q = redis.call('HMGET', keys.quote .. symbol, 'quote_id', 'expires_ms', 'bid_ticks',
    'bid_lots', 'bid_size_lots', 'ask_ticks', 'ask_lots', 'ask_size_lots')
  local book = { seq = tonumber(s[1]), halted = s[2], id = q[1], expires = tonumber(q[2]),
    bid = { ticks = tonumber(q[3]), lots = tonumber(q[4]), size = tonumber(q[5]), filled = 0 },
    ask = { ticks = tonumber(q[6]), lots = tonumber(q[7]), size = tonumber(q[8]), filled = 0 } }
  for _, level in ipairs({ book.bid, book.ask }) do
    level.unit = notional and (level.ticks or 0) * tonumber(s[3]) or 1
  end
  return book
end

-- refusal(book, level, order, now) -> why the order cannot be filled at all, or nil
local function refusal(book, level, order, now)
  if book.halted then
    return 'halted'
  elseif not book.id or level.size == 0 then
    return 'no_quote'
  elseif book.expires <= now then
    return 'expired'
  elseif order.side == 'buy' and order.limit < level.ticks
    or order.side == 'sell' and order.limit > level.ticks then
    return 'not_crossing'
  elseif level.lots == 0 then
    return 'exhausted'
  end
  return nil
end

-- execute(book, order, now, fills) -> "status reason cum_lots price_ticks fill_id quote_id" of an
-- immediate-or-cancel order; a fill is taken off the book's level and added to the flat list.
local function execute(book, order, now, fills)
  if not book then
    return 'rejected unknown_symbol 0 - - -'
  end
  local level = order.side == 'buy' and book.ask or book.bid
  local reason = refusal(book, level, order, now)
  if reason then
    return 'canceled ' .. reason .. ' 0 - - ' .. (book.id or '-')
  end
  local lots = math.min(order.lots, level.lots)
  level.lots = level.lots - lots
  level.filled = level.filled + lots
  book.seq = book.seq + 1
  local fill_id = order.symbol .. '-' .. text(book.seq)
  local done, price = text(lots), text(level.ticks)
  fills[#fills + 1] = fill_id
  fills[#fills + 1] = table.concat(
    { order.side, done, price, order.client, order.id, book.id, text(now) }, ' ')
  local status = lots == order.lots and 'filled -' or 'partially_filled exhausted'
  return table.concat({ status, done, price, fill_id, book.id }, ' ')
end
