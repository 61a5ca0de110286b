#!lua flags=no-writes
-- What a maker needs to know to decide whether to quote: the asked symbols, and who can be served.
--
-- KEYS   exposure expiry waiting:bid waiting:ask symbol:* position:* quote:* reservation:*
-- ARGV   symbols, at most 1,000
-- REPLY  {now_ms, {row, ...}, {symbol, ...}}: a row is {symbol, fill_seq, quote_version, halted(0/1),
--        position_version, net_lots, last_price_ticks, waiting(0/1), quote's position_version or -1,
--        quote's expires_ms or 0}; the last list is the waiting symbols, asked for or not, for
--        which at least one more lot is free now, in their order
-- ERRORS none: an unknown symbol has no row
-- EMITS  nothing

-- INCLUDE base
-- INCLUDE expiry
-- INCLUDE waiting
local exposure_key, expiry_key, waiting_bid, waiting_ask = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local symbol_prefix, position_prefix, quote_prefix = KEYS[5], KEYS[6], KEYS[7]
local reservation_prefix = KEYS[8]

local now = now_ms()
local e = redis.call('HMGET', exposure_key, 'limit_units', 'bid_units', 'ask_units')
local _, ended, due_bid, due_ask = due_quotes(expiry_key, reservation_prefix, now)
local limit = tonumber(e[1]) or 0

local servable, listed = {}, {}
-- consider(symbol, free, claim, unit) lists the symbol when a lot that it waits for is free.
local function consider(symbol, free, claim, unit)
  if not listed[symbol] and unit > 0 and math.min(free, claim) >= unit then
    listed[symbol] = true
    servable[#servable + 1] = symbol
  end
  return #servable >= 64
end
walk_queue(waiting_bid, reservation_prefix, 'bid', limit - (tonumber(e[2]) or 0) + due_bid, ended,
  consider)
walk_queue(waiting_ask, reservation_prefix, 'ask', limit - (tonumber(e[3]) or 0) + due_ask, ended,
  consider)

local rows, done = {}, {}
local function add_row(symbol)
  local s = redis.call('HMGET', symbol_prefix .. symbol, 'fill_seq', 'quote_version', 'halted')
  if not s[1] or done[symbol] then
    return
  end
  done[symbol] = true
  local p = redis.call('HMGET', position_prefix .. symbol, 'position_version', 'net_lots',
    'last_price_ticks')
  local q = redis.call('HMGET', quote_prefix .. symbol, 'position_version', 'expires_ms')
  local live = q[2] and tonumber(q[2]) > now
  local waits = redis.call('ZSCORE', waiting_bid, symbol) or redis.call('ZSCORE', waiting_ask, symbol)
  rows[#rows + 1] = { symbol, s[1], s[2], s[3] and 1 or 0, p[1], p[2], p[3], waits and 1 or 0,
    live and q[1] or '-1', live and q[2] or '0' }
end
for _, symbol in ipairs(ARGV) do
  add_row(symbol)
end
for _, symbol in ipairs(servable) do
  add_row(symbol)
end
return { now, rows, servable }
