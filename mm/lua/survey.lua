#!lua flags=no-writes
-- Read what a maker needs to decide whether to quote: its symbols, and whom exposure can serve.
--
-- KEYS   exposure expiry waiting:bid waiting:ask symbol:* position:* quote:* reservation:*
-- ARGV   symbols, at most 1,000
-- REPLY  {now_ms, {row, ...}, {symbol, ...}}: a row is {symbol, fill_seq, quote_version, halted(0/1),
--        position_version, net_lots, last_price_ticks, waiting(0/1), quote's position_version or -1,
--        quote's expires_ms or 0}; the last list is the waiting symbols, asked for or not, for
--        which at least one more lot is free now, in the order of the queues; each has a row too
-- ERRORS none. An unknown symbol has no row
-- EMITS  nothing

-- INCLUDE base
-- INCLUDE exposure
-- INCLUDE expiry
-- INCLUDE waiting
local exposure_key, expiry_key, waiting_bid, waiting_ask = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local symbol_prefix, position_prefix, quote_prefix = KEYS[5], KEYS[6], KEYS[7]
local reservation_prefix = KEYS[8]

local now = now_ms()
local exposure = load_exposure(exposure_key) or { limit = 0, bid = 0, ask = 0 }
local due_total, ended = due_units(reservation_prefix, due_quotes(expiry_key, now))

local servable, listed = {}, {}
-- list_servable(symbol, free, claim, lot_units) lists a symbol when a lot that it waits for is free.
-- It returns true, to stop the walk, when 64 symbols are listed.
local function list_servable(symbol, free, claim, lot_units)
  if not listed[symbol] and lot_units > 0 and math.min(free, claim) >= lot_units then
    listed[symbol] = true
    servable[#servable + 1] = symbol
  end
  return #servable >= 64
end
walk_queue(waiting_bid, reservation_prefix, 'bid', free_units(exposure, 'bid', due_total.bid), ended,
  list_servable)
walk_queue(waiting_ask, reservation_prefix, 'ask', free_units(exposure, 'ask', due_total.ask), ended,
  list_servable)

local rows, done = {}, {}
local function add_row(symbol)
  local fill_seq, quote_version, halted = unpack(redis.call('HMGET', symbol_prefix .. symbol,
    'fill_seq', 'quote_version', 'halted'))
  if not fill_seq or done[symbol] then
    return
  end
  done[symbol] = true
  local position_version, net_lots, last_ticks = unpack(redis.call('HMGET',
    position_prefix .. symbol, 'position_version', 'net_lots', 'last_price_ticks'))
  local quoted_version, expires_ms = unpack(redis.call('HMGET', quote_prefix .. symbol,
    'position_version', 'expires_ms'))
  local live = expires_ms and tonumber(expires_ms) > now
  local waits = redis.call('ZSCORE', waiting_bid, symbol) or redis.call('ZSCORE', waiting_ask, symbol)
  rows[#rows + 1] = { symbol, fill_seq, quote_version, halted and 1 or 0, position_version, net_lots,
    last_ticks, waits and 1 or 0, live and quoted_version or '-1', live and expires_ms or '0' }
end
for _, symbol in ipairs(ARGV) do
  add_row(symbol)
end
for _, symbol in ipairs(servable) do
  add_row(symbol)
end
return { now, rows, servable }
