-- Snippet: a symbol's quote in memory, and what it does to one order. Needs digits().
--
-- What many lines of a batch share is put together once: most of a step's time goes into making
-- strings.

-- load_book(keys, symbol, notional, now) -> {seq, refusal (why its quote trades with none, or nil), buy,
-- sell: {ticks, lots, size} of the side that such orders meet, as text; unit (of a tick and a lot, nil
-- where a lot is one), stem (of a fill id), outcome_end, fill_end (of their lines), sides: {}}, false
-- when the symbol is unknown
local function load_book(keys, symbol, notional, now)
  local s = redis.call('HMGET', keys.symbol .. symbol, 'fill_seq', 'halted', 'multiplier')
  if not s[1] then
    return false
  end
  local q = redis.call('HMGET', keys.quote .. symbol, 'quote_id', 'expires_ms', 'bid_ticks',
    'bid_lots', 'bid_size_lots', 'ask_ticks', 'ask_lots', 'ask_size_lots')
  local quote_id, expires = q[1], tonumber(q[2])
  local refusal = s[2] and 'halted' or not quote_id and 'no_quote'
    or expires <= now and 'expired' or nil
  local outcome_end = ' ' .. (quote_id or '-')
  return { seq = tonumber(s[1]), refusal = refusal, sell = { q[3], q[4], q[5] },
    buy = { q[6], q[7], q[8] }, unit = notional and tonumber(s[3]), stem = symbol .. '-',
    outcome_end = outcome_end, fill_end = outcome_end .. ' ' .. text(now), sides = {} }
end

-- load_side(book, taker) -> the side that orders of the side `taker` meet: {ticks, lots (remaining), unit
-- (of a lot), filled, refusal (why it trades with none, or nil), opening (of a fill's line), price (in
-- blanks)}
local function load_side(book, taker)
  local ticks, lots, size = unpack(book[taker])
  local price = tonumber(ticks) or 0
  local side = { ticks = price, lots = tonumber(lots), filled = 0,
    refusal = book.refusal or size == '0' and 'no_quote' or nil,
    unit = book.unit and price * book.unit or 1,
    opening = taker .. ' ', price = ' ' .. (ticks or '-') .. ' ' }
  book.sides[taker] = side
  return side
end

-- execute(book, client, name, taker, wanted, limit) -> "status reason cum_lots price_ticks fill_id
-- quote_id" of an immediate-or-cancel order, and of a fill, which is taken off the book, its id and its
-- line
local function execute(book, client, name, taker, wanted, limit)
  local side = book.sides[taker] or load_side(book, taker)
  local left, reason = side.lots, side.refusal
  if not reason then
    if taker == 'buy' and limit < side.ticks or taker == 'sell' and limit > side.ticks then
      reason = 'not_crossing'
    elseif left == 0 then
      reason = 'exhausted'
    end
  end
  if reason then
    return 'canceled ' .. reason .. ' 0 - -' .. book.outcome_end
  end
  local lots, status = wanted, 'filled - '
  if wanted > left then
    lots, status = left, 'partially_filled exhausted '
  end
  side.lots = left - lots
  side.filled = side.filled + lots
  book.seq = book.seq + 1
  local fill_id, done = format('%s%d', book.stem, book.seq), digits(lots)
  return status .. done .. side.price .. fill_id .. book.outcome_end, fill_id,
    side.opening .. done .. side.price .. client .. ' ' .. name .. book.fill_end
end

-- store_books(keys, books) writes what the fills have left of each quote, of its reservation and of
-- its symbol's sequence -> the units that they have freed, of bids and of asks
local function store_books(keys, books)
  local freed = { sell = 0, buy = 0 }
  for symbol, book in pairs(books) do
    local filled = false
    for taker, side in pairs(book and book.sides or {}) do
      if side.filled > 0 then
        local met = taker == 'sell' and 'bid' or 'ask'
        redis.call('HSET', keys.quote .. symbol, met .. '_lots', text(side.lots))
        redis.call('HSET', keys.reservation .. symbol, met .. '_units', text(side.lots * side.unit))
        freed[taker] = freed[taker] + side.filled * side.unit
        filled = true
      end
    end
    if filled then
      redis.call('HSET', keys.symbol .. symbol, 'fill_seq', text(book.seq))
    end
  end
  return freed.sell, freed.buy
end
