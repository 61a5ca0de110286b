#!lua flags=allow-oom
-- Create the system's keys, or check that they hold a system with this configuration.
--
-- KEYS   config exposure cursors fills positions quotes expiry symbol:* position:* reservation:*
-- ARGV   1 n: number of config fields; 2 .. 2n+1: config field, value, ...;
--        then for each symbol: name, m, and m times parameter, value
-- REPLY  created | matched
-- ERRORS FOREIGN_KEYS (the first key found without a config), CONFIG_DIFFERS (field, stored, given)
-- EMITS  nothing

local config_key, exposure_key, cursors_key = KEYS[1], KEYS[2], KEYS[3]
local symbol_prefix, position_prefix, reservation_prefix = KEYS[8], KEYS[9], KEYS[10]

-- pairs_at(index) -> {name, value, ...} from a count at ARGV[index], and the index after them
local function pairs_at(index)
  local list, count = {}, tonumber(ARGV[index])
  for i = index + 1, index + 2 * count do
    list[#list + 1] = ARGV[i]
  end
  return list, index + 2 * count + 1
end

-- difference(key, list, where) -> text naming the first field that is stored otherwise, or nil
local function difference(key, list, where)
  for i = 1, #list, 2 do
    local stored = redis.call('HGET', key, list[i])
    if stored ~= list[i + 1] then
      return where .. list[i] .. ' stored ' .. (stored or 'nothing') .. ' given ' .. list[i + 1]
    end
  end
  return nil
end

local config, index = pairs_at(1)
local symbols = {}
while index <= #ARGV do
  local name, parameters = ARGV[index], nil
  parameters, index = pairs_at(index + 1)
  symbols[#symbols + 1] = { name = name, parameters = parameters }
end

if redis.call('EXISTS', config_key) == 1 then
  local found = difference(config_key, config, '')
  for _, symbol in ipairs(symbols) do
    local key = symbol_prefix .. symbol.name
    found = found or difference(key, symbol.parameters, 'symbol ' .. symbol.name .. ' ')
  end
  if found then
    return redis.error_reply('CONFIG_DIFFERS ' .. found)
  end
  return 'matched'
end
-- Orders may have come before the system; anything else would be half a system, or another's.
local foreign = { KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7] }
for _, symbol in ipairs(symbols) do
  for _, prefix in ipairs({ symbol_prefix, position_prefix, reservation_prefix }) do
    foreign[#foreign + 1] = prefix .. symbol.name
  end
end
for _, key in ipairs(foreign) do
  if redis.call('EXISTS', key) == 1 then
    return redis.error_reply('FOREIGN_KEYS ' .. key)
  end
end

-- Writes start here.
local limit = '0'
for i = 1, #config, 2 do
  redis.call('HSET', config_key, config[i], config[i + 1])
  if config[i] == 'limit_units' then
    limit = config[i + 1]
  end
end
redis.call('HSET', exposure_key, 'limit_units', limit, 'bid_units', '0', 'ask_units', '0')
redis.call('HSET', cursors_key, 'exchange', '0-0', 'state', '0-0')
for _, symbol in ipairs(symbols) do
  redis.call('HSET', symbol_prefix .. symbol.name,
    'fill_seq', '0', 'quote_version', '0', unpack(symbol.parameters))
  redis.call('HSET', position_prefix .. symbol.name, 'net_lots', '0', 'cash_ticks', '0',
    'cost_ticks', '0', 'position_version', '0', 'last_fill_id', '-', 'last_price_ticks', '0',
    'updated_ms', '0')
  redis.call('HSET', reservation_prefix .. symbol.name, 'quote_id', '-', 'bid_units', '0',
    'ask_units', '0', 'expires_ms', '0', 'state', 'released')
end
return 'created'
