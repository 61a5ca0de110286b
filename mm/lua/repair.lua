#!lua
-- Put a halted symbol's position and fill number in place of damaged ones, in one atomic step.
--
-- The caller has rebuilt them from the ledger. What it found before must still be there.
--
-- KEYS   config control operations positions symbol:* position:* terms:*
-- ARGV   1 system_id: the system that the caller means  2 symbol  3 who  4 role  5 why  6 .. 16 what it
--        found: fill_seq, net_lots, cash_ticks, cost_ticks, position_version, last_fill_id,
--        last_price_ticks, twice_spread_ticks, fair_ticks, fair_rest, trades, empty for a missing one
--        17 .. 27 what must be there, in the same order
-- REPLY  repaired | matched (nothing differs, and nothing is written)
-- ERRORS FOREIGN_SYSTEM (the system_id that the keys hold, or nothing), UNKNOWN_SYMBOL, NOT_HALTED,
--        CHANGED (a field that is not as it was found), DAMAGED (a required key is missing)
-- EMITS  operations, positions (the update that every reader takes for the newest)

-- INCLUDE base
-- INCLUDE damage
-- INCLUDE mode
-- INCLUDE operations
-- INCLUDE streams
local config_key, control_key, operations_key, positions_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local symbol, symbol_key, position_key = ARGV[2], KEYS[5] .. ARGV[2], KEYS[6] .. ARGV[2]
local NAMES = { 'fill_seq', 'net_lots', 'cash_ticks', 'cost_ticks', 'position_version', 'last_fill_id',
  'last_price_ticks', 'twice_spread_ticks', 'fair_ticks', 'fair_rest', 'trades' }
local FOUND, WANTED = 5, 16

local now = now_ms()
local system_id, keep_updates = unpack(redis.call('HMGET', config_key, 'system_id', 'keep_updates'))
if system_id ~= ARGV[1] then
  return redis.error_reply('FOREIGN_SYSTEM ' .. (system_id or 'nothing'))
elseif not keep_updates then
  return damaged(config_key)
end
local tick, mode = unpack(redis.call('HMGET', KEYS[7] .. symbol, 'tick', 'mode'))
local halted, flattened_ms = unpack(redis.call('HMGET', position_key, 'halted', 'flattened_ms'))
if not tick then
  return redis.error_reply('UNKNOWN_SYMBOL ' .. symbol)
elseif not halted and not is_halted(redis.call('HGET', control_key, 'mode'), own_mode(mode, flattened_ms)) then
  return redis.error_reply('NOT_HALTED ' .. symbol)
end
local wanted, before, after = {}, {}, {}
for index, name in ipairs(NAMES) do
  local stored = redis.call('HGET', index == 1 and symbol_key or position_key, name) or ''
  local found = ARGV[FOUND + index]
  wanted[name] = ARGV[WANTED + index]
  if stored ~= found then
    return redis.error_reply('CHANGED ' .. name .. ' is ' .. stored .. ' and was ' .. found)
  elseif stored ~= wanted[name] then
    before[#before + 1] = name .. '=' .. (stored == '' and 'missing' or string.gsub(stored, ' ', ','))
    after[#after + 1] = name .. '=' .. string.gsub(wanted[name], ' ', ',')
  end
end
if #before == 0 then
  return 'matched'
end

-- Writes start here.
redis.call('HSET', symbol_key, 'fill_seq', wanted.fill_seq)
for index = 2, #NAMES do
  redis.call('HSET', position_key, NAMES[index], wanted[NAMES[index]])
end
redis.call('HSET', position_key, 'updated_ms', text(now))
append(positions_key, { symbol, table.concat({ wanted.net_lots, wanted.cash_ticks,
  wanted.position_version, wanted.last_price_ticks, text(now) }, ' ') }, keep_updates)
tell_operation(operations_key, { op = 'repair', symbol = symbol, who = ARGV[3], role = ARGV[4],
  why = ARGV[5], before = table.concat(before, ' '), after = table.concat(after, ' ') }, now)
return 'repaired'
