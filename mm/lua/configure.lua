#!lua flags=allow-oom
-- Change the configuration while the system runs, in one atomic step.
--
-- The caller has compared a configuration with one version of the stored one, and sends what differs. A
-- quote of a changed symbol is withdrawn: a maker quotes it anew. A lower limit withdraws nothing. While
-- more is reserved than the new limit, place.lua grants no unit, and the last quote that may be part of
-- it ends at over_until_ms. The limit of a partition is its lease. A retired symbol is reduced until
-- flat and then halted for good.
--
-- KEYS   config exposure operations expiry quotes waiting:bid waiting:ask symbol:* position:* quote:* reservation:* terms:*
-- ARGV   1 system_id: the system that the caller means  2 config_version that the changes start from
--        3 who  4 role  5 why  6 number of changed fields, then for each: field, value; then for each
--        symbol: name, change (alter, add, retire or return), number of parameters, and for each:
--        parameter, value. Values are integers from 0 to 2^53 - 1; an added symbol has its tick and lot too
-- REPLY  {config_version, {quote_id, ...} of the ended quotes}
-- ERRORS FOREIGN_SYSTEM (the system_id that the keys hold, or nothing), STALE_CONFIG (stored version),
--        FIXED (a field that never changes), NOT_INTEGER (field, value), UNKNOWN_SYMBOL,
--        EXISTS (the symbol), BAD_CHANGE (the word), DAMAGED (a required key is missing)
-- EMITS  operations (one for the version, one for each symbol), quotes (withdrawn, expired)

-- INCLUDE base
-- INCLUDE damage
-- INCLUDE exposure
-- INCLUDE expiry
-- INCLUDE waiting
-- INCLUDE symbol
-- INCLUDE configuration
local SYMBOL_CHANGES = { alter = true, add = true, retire = true, ['return'] = true }

-- symbol_fault(terms_key, symbol, change) -> the error reply that refuses the change, or nil
local function symbol_fault(terms_key, symbol, change)
  if not SYMBOL_CHANGES[change] then
    return redis.error_reply('BAD_CHANGE ' .. change)
  end
  local exists = redis.call('EXISTS', terms_key) == 1
  if exists and change == 'add' then
    return redis.error_reply('EXISTS ' .. symbol)
  elseif not exists and change ~= 'add' then
    return redis.error_reply('UNKNOWN_SYMBOL ' .. symbol)
  end
  return nil
end

local config_key, expiry_key = KEYS[1], KEYS[4]
local waiting = { bid = KEYS[6], ask = KEYS[7] }
local symbol_prefix, position_prefix, reservation_prefix, terms_prefix = KEYS[8], KEYS[9], KEYS[11], KEYS[12]
local keys = { exposure = KEYS[2], expiry = expiry_key, quotes = KEYS[5], quote = KEYS[10],
  reservation = reservation_prefix }
local by = { who = ARGV[3], role = ARGV[4], why = ARGV[5] }

local now = now_ms()
local system_id, version_word, keep_quotes, names, limit_units, partition = unpack(redis.call('HMGET',
  config_key, 'system_id', 'config_version', 'keep_quotes', 'symbols', 'limit_units', 'partition'))
local version = version_word or '1'
if system_id ~= ARGV[1] then
  return redis.error_reply('FOREIGN_SYSTEM ' .. (system_id or 'nothing'))
elseif version ~= ARGV[2] then
  return redis.error_reply('STALE_CONFIG ' .. version)
elseif not (keep_quotes and names and (partition or load_exposure(keys.exposure, limit_units))) then
  return damaged(not (keep_quotes and names) and config_key or keys.exposure)
end
local fields, next_index = pairs_at(ARGV, 6)
local fault = field_fault(fields, MARKET_FIELDS)
local changes, listed = {}, { names }
while next_index <= #ARGV and not fault do
  local symbol, change = ARGV[next_index], ARGV[next_index + 1]
  local parameters
  parameters, next_index = pairs_at(ARGV, next_index + 2)
  fault = symbol_fault(terms_prefix .. symbol, symbol, change)
    or change ~= 'add' and field_fault(parameters, SYMBOL_FIELDS)
  changes[#changes + 1] = { symbol = symbol, change = change, parameters = parameters }
end
if fault then
  return fault
end

-- Writes start here.
local next_version = text(tonumber(version) + 1)
local ended = end_due_quotes(keys, due_quotes(expiry_key, now), now, keep_quotes)
tell_change(KEYS[3], 'config', '*', config_key, fields, { 'config_version=' .. version },
  { 'config_version=' .. next_version }, by, now)
store_pairs(config_key, fields)
redis.call('HSET', config_key, 'config_version', next_version)
for _, one in ipairs(changes) do
  local symbol, key = one.symbol, terms_prefix .. one.symbol
  local before, after = {}, {}
  if one.change == 'add' then
    listed[#listed + 1] = symbol
    new_symbol(symbol_prefix .. symbol, position_prefix .. symbol, reservation_prefix .. symbol)
  else
    before, after = change_mode(key, symbol_prefix .. symbol, position_prefix .. symbol, one.change, by, now)
    leave_queues(waiting, reservation_prefix, symbol)
    local expires_ms = redis.call('ZSCORE', expiry_key, symbol)
    if expires_ms then
      local expired = tonumber(expires_ms) <= now
      ended[#ended + 1] = end_quote(keys, symbol, expired and 'expired' or 'withdrawn', now, keep_quotes,
        not expired and 'config' or nil)
    end
  end
  tell_change(KEYS[3], one.change, symbol, key, one.parameters, before, after, by, now)
  keep_position_limit(key, one.parameters)
  store_pairs(key, one.parameters)
end
redis.call('HSET', config_key, 'symbols', table.concat(listed, ' '))
if not partition then
  change_limit(keys.exposure, expiry_key, fields)
end
return { next_version, ended }
