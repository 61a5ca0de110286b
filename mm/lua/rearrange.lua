#!lua flags=allow-oom
-- Change what the partitions of a system have in common, in one atomic step.
--
-- Each partition has its own change of the configuration, made before by configure.lua. While more units
-- are leased than a lower limit, the treasury grants none, and over_units says how many there were.
--
-- KEYS   config treasury routes operations
-- ARGV   1 system_id: the system that the caller means  2 config_version that the changes start from
--        3 who  4 role  5 why  6 number of changed fields, then for each: field, value; then for each
--        new symbol: name, key prefix of its partition. Values are integers from 0 to 2^53 - 1
-- REPLY  config_version
-- ERRORS FOREIGN_SYSTEM (the system_id that the keys hold, or nothing), STALE_CONFIG (stored version),
--        FIXED (a field that never changes), NOT_INTEGER (field, value), EXISTS (the symbol),
--        DAMAGED (a required key is missing)
-- EMITS  operations (one)

-- INCLUDE base
-- INCLUDE damage
-- INCLUDE symbol
-- INCLUDE configuration
local config_key, treasury_key, routes_key = KEYS[1], KEYS[2], KEYS[3]

local now = now_ms()
local system_id, version_word, names, count_word = unpack(redis.call('HMGET', config_key, 'system_id',
  'config_version', 'symbols', 'partitions'))
local version = version_word or '1'
if system_id ~= ARGV[1] then
  return redis.error_reply('FOREIGN_SYSTEM ' .. (system_id or 'nothing'))
elseif version ~= ARGV[2] then
  return redis.error_reply('STALE_CONFIG ' .. version)
elseif not (names and count_word) or redis.call('EXISTS', treasury_key) == 0 then
  return damaged(not (names and count_word) and config_key or treasury_key)
end
local fields, next_index = pairs_at(ARGV, 6)
local fault = field_fault(fields, MARKET_FIELDS)
local listed, added = { names }, {}
for index = next_index, #ARGV, 2 do
  local symbol = ARGV[index]
  if redis.call('HGET', routes_key, symbol) then
    fault = fault or redis.error_reply('EXISTS ' .. symbol)
  end
  listed[#listed + 1] = symbol
  added[#added + 1] = symbol
end
if fault then
  return fault
end
local outstanding = 0
for number = 0, tonumber(count_word) - 1 do
  local granted, received = unpack(redis.call('HMGET', treasury_key, 'granted:' .. text(number),
    'received:' .. text(number)))
  outstanding = outstanding + (tonumber(granted) or 0) - (tonumber(received) or 0)
end

-- Writes start here.
local next_version = text(tonumber(version) + 1)
tell_change(KEYS[4], 'config', '*', config_key, fields,
  { 'config_version=' .. version }, { 'config_version=' .. next_version,
  #added > 0 and 'symbols+=' .. table.concat(added, ',') or nil }, { who = ARGV[3], role = ARGV[4],
  why = ARGV[5] }, now)
store_pairs(config_key, fields)
redis.call('HSET', config_key, 'config_version', next_version, 'symbols', table.concat(listed, ' '))
for index = next_index, #ARGV, 2 do
  redis.call('HSET', routes_key, ARGV[index], ARGV[index + 1])
end
local limit = tonumber((redis.call('HGET', config_key, 'limit_units')))
redis.call('HSET', treasury_key, 'over_units', text(outstanding > limit and outstanding or 0))
return next_version
