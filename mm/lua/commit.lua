#!lua flags=allow-oom
-- Apply the next fills of the ledger to the positions: one atomic step.
--
-- A record that does not continue its symbol's sequence, or that would make a number inexact, halts
-- the symbol: its quote is withdrawn and no further fill of it is applied.
--
-- KEYS   cursors fills positions exposure expiry quotes config deadletter waiting:bid waiting:ask symbol:* position:* quote:* reservation:*
-- ARGV   1 most: integer > 0, fills to take at most (an entry is never split)
-- REPLY  {cursor, fills applied, more(0/1), now_ms, {symbol, position_version, ...}, {symbol, why, ...} of new halts}
-- ERRORS DAMAGED (a key that must be there is not); a bad ledger halts a symbol and not the others
-- EMITS  positions; quotes (withdrawn) and deadletter on a halt

-- INCLUDE base
-- INCLUDE count
-- INCLUDE damage
-- INCLUDE streams
-- INCLUDE expiry
-- INCLUDE position
local cursors_key, fills_key, positions_key, exposure_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local expiry_key, quotes_key, config_key, deadletter_key = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local waiting_bid, waiting_ask = KEYS[9], KEYS[10]
local symbol_prefix, position_prefix, quote_prefix = KEYS[11], KEYS[12], KEYS[13]
local reservation_prefix = KEYS[14]

local now = now_ms()
local config = redis.call('HMGET', config_key, 'keep_updates', 'keep_quotes', 'keep_deadletters')
local cursor = redis.call('HMGET', cursors_key, 'state', 'state_records')
if not config[1] or not cursor[1] then
  return damaged(config[1] and cursors_key or config_key)
end
local entries, count, more = next_entries(fills_key, cursor[1], tonumber(ARGV[1]))

local positions, touched, halts, dead, applied = {}, {}, {}, {}, 0
for n = 1, #entries do
  local fields = entries[n][2]
  for i = 1, #fields, 2 do
    local fill_id = fields[i]
    local symbol, seq, signed, price = parse_fill(fill_id, fields[i + 1])
    local position = positions[symbol or '']
    if position == nil and symbol then
      position = load_position(symbol_prefix, position_prefix, symbol)
      positions[symbol] = position
      touched[#touched + 1] = position and symbol or nil
    end
    local why
    if not position then
      why = 'no such symbol'
    elseif position.halted then
      why = 'symbol is halted'
    else
      why = apply_fill(position, fill_id, seq, signed, price)
    end
    if not why then
      applied = applied + 1
    else
      dead[#dead + 1] = { entry = entries[n][1], reason = why, raw = fill_id .. ' ' .. fields[i + 1] }
      if position and not position.halted then
        position.halted = why
        halts[#halts + 1] = symbol
        halts[#halts + 1] = why
      end
    end
  end
end
local cursor_id = count > 0 and entries[#entries][1] or cursor[1]
local committed = {}
if count == 0 then
  return { cursor_id, 0, 0, now, committed, halts }
end

-- Writes start here.
local updates = {}
for _, symbol in ipairs(touched) do
  local position = positions[symbol]
  if position.last_id then
    updates[#updates + 1] = symbol
    updates[#updates + 1] = store_position(position_prefix, symbol, position, now)
    committed[#committed + 1] = symbol
    committed[#committed + 1] = position.version
  end
end
append(positions_key, updates, config[1])
local ending = { expiry = expiry_key, quotes = quotes_key, quote = quote_prefix,
  reservation = reservation_prefix }
for i = 1, #halts, 2 do
  local symbol = halts[i]
  local held = redis.call('HMGET', reservation_prefix .. symbol, 'bid_units', 'ask_units', 'state')
  redis.call('HSET', symbol_prefix .. symbol, 'halted', halts[i + 1])
  redis.call('HSET', reservation_prefix .. symbol, 'bid_wanted_lots', '0', 'ask_wanted_lots', '0')
  redis.call('ZREM', waiting_bid, symbol)
  redis.call('ZREM', waiting_ask, symbol)
  if held[3] == 'active' then
    redis.call('HINCRBY', exposure_key, 'bid_units', text(-(tonumber(held[1]) or 0)))
    redis.call('HINCRBY', exposure_key, 'ask_units', text(-(tonumber(held[2]) or 0)))
    end_quote(ending, symbol, 'withdrawn', now, config[2])
  end
end
for _, one in ipairs(dead) do
  redis.call('XADD', deadletter_key, 'MAXLEN', '~', config[3], '*', 'source', 'fills',
    'entry_id', one.entry, 'reason', one.reason, 'raw', one.raw)
end
redis.call('HSET', cursors_key, 'state', cursor_id,
  'state_records', text((tonumber(cursor[2]) or 0) + count))
return { cursor_id, applied, more and 1 or 0, now, committed, halts }
