#!lua flags=allow-oom
-- Create what the partitions of a system have in common, or check that it is there as it must be.
--
-- It is called when all partitions exist. So where it is, they have all been made, and none is made again.
--
-- KEYS   config treasury routes
-- ARGV   1 system_id, which all partitions have  2 number of config fields, then for each: field, value;
--        then for each symbol: name, key prefix of its partition
-- REPLY  created | matched
-- ERRORS FOREIGN_KEYS (the first key that exists without a config), CONFIG_DIFFERS (field, stored, given)
-- EMITS  nothing

-- INCLUDE base
-- INCLUDE symbol
local config_key, treasury_key, routes_key = KEYS[1], KEYS[2], KEYS[3]

local now = now_ms()
local config, next_index = pairs_at(ARGV, 2)
local given = {}
for index = 1, #config, 2 do
  given[config[index]] = config[index + 1]
end
if redis.call('EXISTS', config_key) == 1 then
  given.system_id = ARGV[1]
  for field, value in pairs(given) do
    local stored = redis.call('HGET', config_key, field)
    if stored ~= value then
      return redis.error_reply('CONFIG_DIFFERS ' .. field .. ' stored ' .. (stored or 'nothing')
        .. ' given ' .. value)
    end
  end
  return 'matched'
end
for _, key in ipairs({ treasury_key, routes_key }) do
  if redis.call('EXISTS', key) == 1 then
    return redis.error_reply('FOREIGN_KEYS ' .. key)
  end
end

-- Writes start here.
store_pairs(config_key, config)
redis.call('HSET', config_key, 'system_id', ARGV[1], 'created_ms', text(now), 'config_version', '1')
for number = 0, tonumber(given.partitions) - 1 do
  redis.call('HSET', treasury_key, 'granted:' .. text(number), '0', 'received:' .. text(number), '0')
end
redis.call('HSET', treasury_key, 'seq', '0')
for index = next_index, #ARGV, 2 do
  redis.call('HSET', routes_key, ARGV[index], ARGV[index + 1])
end
return 'created'
