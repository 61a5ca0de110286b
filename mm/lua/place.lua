#!lua
-- Place a quote: check the gate, release what has expired, clamp, reserve and activate, in one step.
--
-- A proposal that passes the gate is granted in full, reduced to what fits, or omitted (then the
-- old quote is withdrawn). A refusal changes nothing.
--
-- KEYS   exposure expiry quotes config waiting:bid waiting:ask symbol:* position:* quote:* reservation:*
-- ARGV   1 symbol  2 maker_id  3 trigger  4 position_version  5 quote_version (of the quote to
--        replace)  6 bid_ticks  7 bid_lots  8 ask_ticks  9 ask_lots: integers >= 0
-- REPLY  {outcome, quote_id, bid_lots, ask_lots, expires_ms}
-- ERRORS UNKNOWN_SYMBOL, BAD_PROPOSAL, HALTED, STALE_POSITION, UNCOMMITTED_FILLS, STALE_QUOTE, DAMAGED
-- EMITS  quotes (active or withdrawn; expired for each released)

-- INCLUDE base
-- INCLUDE damage
-- INCLUDE expiry
-- INCLUDE waiting
-- INCLUDE proposal
local exposure_key, expiry_key, quotes_key, config_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local waiting = { bid = KEYS[5], ask = KEYS[6] }
local keys = { expiry = expiry_key, quotes = quotes_key, quote = KEYS[9], reservation = KEYS[10] }
local symbol, maker_id, trigger = ARGV[1], ARGV[2], ARGV[3]
local symbol_key, position_key = KEYS[7] .. symbol, KEYS[8] .. symbol
local reservation_key, quote_key = keys.reservation .. symbol, keys.quote .. symbol
local now = now_ms()
local s = redis.call('HMGET', symbol_key, 'fill_seq', 'quote_version', 'halted',
  'position_limit_lots', 'multiplier', 'outcome')
if not s[1] then
  return redis.error_reply('UNKNOWN_SYMBOL ' .. symbol)
end
local version, last_outcome = tonumber(s[2]), s[6]
local position_limit, multiplier = tonumber(s[4]), tonumber(s[5])
local asked = { bid = { ticks = whole(ARGV[6]), lots = whole(ARGV[7]) },
  ask = { ticks = whole(ARGV[8]), lots = whole(ARGV[9]) } }
local fault = proposal_fault(asked, whole(ARGV[4]), whole(ARGV[5]), trigger, maker_id,
  position_limit * multiplier)
if fault then
  return redis.error_reply('BAD_PROPOSAL ' .. symbol .. ' ' .. fault)
elseif s[3] then
  return redis.error_reply('HALTED ' .. symbol .. ' ' .. s[3])
end
local p = redis.call('HMGET', position_key, 'position_version', 'net_lots')
if p[1] ~= ARGV[4] then
  return redis.error_reply('STALE_POSITION ' .. symbol .. ' committed ' .. (p[1] or 'none')
    .. ' proposed ' .. ARGV[4])
elseif s[1] ~= p[1] then
  return redis.error_reply('UNCOMMITTED_FILLS ' .. symbol .. ' emitted ' .. s[1] .. ' committed ' .. p[1])
elseif s[2] ~= ARGV[5] then
  return redis.error_reply('STALE_QUOTE ' .. symbol .. ' newest ' .. s[2] .. ' proposed ' .. ARGV[5])
end

local config = redis.call('HMGET', config_key, 'exposure_mode', 'quote_ttl_ms', 'keep_quotes')
local e = redis.call('HMGET', exposure_key, 'limit_units', 'bid_units', 'ask_units')
local held = redis.call('HMGET', reservation_key, 'bid_units', 'ask_units', 'quote_id')
if not (config[1] and e[1] and held[3]) then
  return damaged(not config[1] and config_key or not e[1] and exposure_key or reservation_key)
end
local limit, net = tonumber(e[1]), tonumber(p[2])
local due, ended, due_bid, due_ask = due_quotes(expiry_key, keys.reservation, now)
local own = { bid = tonumber(held[1]) or 0, ask = tonumber(held[2]) or 0 }
if ended[symbol] then
  own = { bid = 0, ask = 0 }
end
local others = { bid = tonumber(e[2]) - due_bid - own.bid, ask = tonumber(e[3]) - due_ask - own.ask }
local room = { bid = position_limit - net, ask = position_limit + net }
local sides = {}
for _, side in ipairs({ 'bid', 'ask' }) do
  local want = asked[side]
  local unit = config[1] == 'notional' and want.ticks * multiplier or 1
  -- What the position limit allows, and what would fit if nobody else had a quote.
  local most = math.min(want.lots, math.max(0, room[side]), math.floor(limit / unit))
  local free = walk_queue(waiting[side], keys.reservation, side, limit - others[side], ended,
    function(other) return other == symbol end)
  local lots = math.min(most, math.floor(free / unit))
  if trigger == 'capacity' then
    -- A top-up gives nothing back, else waiting symbols would pass capacity round for ever.
    lots = math.max(lots, math.min(most, math.floor(own[side] / unit)))
  end
  local since = redis.call('ZSCORE', waiting[side], symbol)
  sides[side] = { unit = unit, most = most, lots = lots, since = since, units = lots * unit }
end
local bid, ask = sides.bid, sides.ask
local outcome = 'reduced'
if bid.lots + ask.lots == 0 then
  outcome = 'omitted'
elseif bid.lots == asked.bid.lots and ask.lots == asked.ask.lots then
  outcome = 'granted'
end
local omitted = outcome == 'omitted'
local expires = omitted and 0 or now + tonumber(config[2])
-- An omission that follows another changes nothing that anyone could see: no version, no event.
local silent = omitted and last_outcome == 'omitted'
local quote_version = text(silent and version or version + 1)
local quote_id = symbol .. '-' .. quote_version

-- Writes start here.
for _, one in ipairs(due) do
  end_quote(keys, one.symbol, 'expired', now, config[3])
end
redis.call('HSET', exposure_key, 'bid_units', text(others.bid + bid.units),
  'ask_units', text(others.ask + ask.units))
redis.call('DEL', quote_key)
if omitted then
  redis.call('ZREM', expiry_key, symbol)
else
  redis.call('HSET', quote_key, 'quote_id', quote_id, 'quote_version', quote_version,
    'bid_ticks', ARGV[6], 'bid_lots', text(bid.lots), 'ask_ticks', ARGV[8],
    'ask_lots', text(ask.lots), 'bid_size_lots', text(bid.lots), 'ask_size_lots', text(ask.lots),
    'position_version', p[1], 'expires_ms', text(expires), 'maker_id', maker_id)
  redis.call('PEXPIREAT', quote_key, text(expires))
  redis.call('ZADD', expiry_key, text(expires), symbol)
end
queue_up(exposure_key, waiting, symbol, sides, own)
redis.call('HSET', reservation_key, 'quote_id', quote_id, 'bid_units', text(bid.units),
  'ask_units', text(ask.units), 'expires_ms', text(expires),
  'state', omitted and 'released' or 'active', 'bid_wanted_lots', text(bid.most),
  'ask_wanted_lots', text(ask.most), 'bid_lot_units', text(bid.unit),
  'ask_lot_units', text(ask.unit))
redis.call('HSET', symbol_key, 'quote_version', quote_version, 'outcome', outcome)
if not silent then
  local event_id = redis.call('XADD', quotes_key, 'MAXLEN', '~', config[3], '*',
    'event', omitted and 'withdrawn' or 'active', 'symbol', symbol, 'quote_id', quote_id,
    'quote_version', quote_version, 'outcome', outcome, 'bid_ticks', ARGV[6],
    'bid_lots', text(bid.lots), 'ask_ticks', ARGV[8], 'ask_lots', text(ask.lots),
    'requested_bid_lots', ARGV[7], 'requested_ask_lots', ARGV[9], 'position_version', p[1],
    'fill_seq', s[1], 'expires_ms', text(expires), 'maker_id', maker_id, 'trigger', trigger,
    'ts_ms', text(now))
  redis.call('HSET', reservation_key, 'event_id', event_id)
end
return { outcome, quote_id, bid.lots, ask.lots, expires }
