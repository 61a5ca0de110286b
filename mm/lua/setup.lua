#!lua flags=allow-oom
-- Create the system's keys, or check that they hold a system with the given configuration.
--
-- A system of schema 1 or 2 is carried over: the terms of its symbols, which were with their numbers, get
-- keys of their own. One of schema 1 gets an id, the instant of its creation and the fields that it lacks
-- too. It must count exposure in lots: in notional mode its units were not money.
--
-- With a field `partition` it is one of several partitions: it has a lease of the limit, 0 at first.
--
-- KEYS   config exposure cursors symbol:* position:* reservation:* terms:* lease
-- READS  fills positions quotes expiry
-- ARGV   1 system_id for a system that has none  2 number of config fields, then for each: field,
--        value; then for each symbol: name, number of parameters, and for each: parameter, value
-- REPLY  created | matched | upgraded (from schema 1 or 2)
-- ERRORS FOREIGN_KEYS (the first key that exists without a config), CONFIG_DIFFERS (field, stored,
--        given), OLD_UNITS (a system of schema 1 in notional mode)
-- EMITS  nothing

-- INCLUDE base
-- INCLUDE symbol
local READS, ARGV = take_reads(4)
local config_key, exposure_key, cursors_key = KEYS[1], KEYS[2], KEYS[3]
local symbol_prefix, position_prefix, reservation_prefix, terms_prefix = KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local lease_key = KEYS[8]

local now = now_ms()
local system_id = ARGV[1]
local schema = redis.call('HGET', config_key, 'schema')
local old = schema == '1' or schema == '2'

-- difference(key, list, where) -> text that names the first field with another stored value, or nil.
-- An old system has another schema, and may lack fields.
local function difference(key, list, where)
  for index = 1, #list, 2 do
    local field, given = list[index], list[index + 1]
    local stored = redis.call('HGET', key, field)
    if stored ~= given and not (old and (field == 'schema' or not stored)) then
      return where .. field .. ' stored ' .. (stored or 'nothing') .. ' given ' .. given
    end
  end
  return nil
end

local config, next_index = pairs_at(ARGV, 2)
local symbols = {}
while next_index <= #ARGV do
  local name, parameters = ARGV[next_index], nil
  parameters, next_index = pairs_at(ARGV, next_index + 1)
  symbols[#symbols + 1] = { name = name, parameters = parameters }
end

if redis.call('EXISTS', config_key) == 1 then
  local found = difference(config_key, config, '')
  for _, symbol in ipairs(symbols) do
    local key = (old and symbol_prefix or terms_prefix) .. symbol.name
    found = found or difference(key, symbol.parameters, 'symbol ' .. symbol.name .. ' ')
  end
  if found then
    return redis.error_reply('CONFIG_DIFFERS ' .. found)
  elseif schema == '1' and redis.call('HGET', config_key, 'exposure_mode') ~= 'lots' then
    return redis.error_reply('OLD_UNITS notional')
  elseif not old then
    return 'matched'
  end
end
-- The orders stream may exist before the system. Any other of its keys would belong to half a system
-- or to another program.
local foreign = { KEYS[2], KEYS[3], lease_key, READS[1], READS[2], READS[3], READS[4] }
for _, symbol in ipairs(symbols) do
  for _, prefix in ipairs({ symbol_prefix, position_prefix, reservation_prefix, terms_prefix }) do
    foreign[#foreign + 1] = prefix .. symbol.name
  end
end
for _, key in ipairs(old and {} or foreign) do
  if redis.call('EXISTS', key) == 1 then
    return redis.error_reply('FOREIGN_KEYS ' .. key)
  end
end

-- Writes start here.
store_pairs(config_key, config)
redis.call('HSETNX', config_key, 'system_id', system_id)
redis.call('HSETNX', config_key, 'created_ms', text(now))
redis.call('HSETNX', config_key, 'config_version', '1')
if old then
  for _, symbol in ipairs(symbols) do
    part_symbol(symbol_prefix .. symbol.name, position_prefix .. symbol.name, terms_prefix .. symbol.name)
    store_pairs(terms_prefix .. symbol.name, symbol.parameters)
  end
  return 'upgraded'
end
redis.call('HSET', exposure_key, 'bid_units', '0', 'ask_units', '0')
local limit_units, partition = unpack(redis.call('HMGET', config_key, 'limit_units', 'partition'))
if partition then
  redis.call('HSET', lease_key, 'accepted', '0', 'returned', '0', 'due', '0', 'seq', '0')
else
  redis.call('HSET', exposure_key, 'limit_units', limit_units or '0')
end
redis.call('HSET', cursors_key, 'exchange', '0-0', 'state', '0-0')
for _, symbol in ipairs(symbols) do
  new_symbol(symbol_prefix .. symbol.name, position_prefix .. symbol.name, reservation_prefix .. symbol.name)
  store_pairs(terms_prefix .. symbol.name, symbol.parameters)
end
return 'created'
