#!lua flags=allow-oom
-- Grant partitions units of the global limit, and take back what they have returned, in one atomic step.
--
-- What is free is the limit less what was ever granted and is not back. A partition has never accepted more
-- than it was granted, and never returned what its quotes reserve. So the leases of all partitions together
-- stay within the limit, whatever comes late, twice or never. All counters only grow.
--
-- KEYS   treasury
-- READS  config
-- ARGV   for each partition that the call is about: its number, returned: the units that it has ever
--        returned, or 0; seen: the units that the caller knows it was ever granted; units to grant:
--        integers from 0 to 2^53 - 1. Nothing is granted where `seen` is not what was granted
-- REPLY  {limit_units, free, partitions, number, granted, received, number, ...} of all partitions
-- ERRORS NOT_PARTITIONED (the key of the configuration), NOT_INTEGER (the word), UNKNOWN_PARTITION (the
--        number), AHEAD (the number of a partition that has returned more than it was granted),
--        DAMAGED (a required key is missing)
-- EMITS  nothing

-- INCLUDE base
-- INCLUDE damage
local READS, ARGV = take_reads(1)
local treasury_key, config_key = KEYS[1], READS[1]

local limit_units, count_word = unpack(redis.call('HMGET', config_key, 'limit_units', 'partitions'))
if not limit_units then
  return damaged(config_key)
elseif not count_word then
  return redis.error_reply('NOT_PARTITIONED ' .. config_key)
end
local limit, count = tonumber(limit_units), tonumber(count_word)
local granted, received, outstanding = {}, {}, 0
for number = 0, count - 1 do
  local given, back = unpack(redis.call('HMGET', treasury_key, 'granted:' .. text(number),
    'received:' .. text(number)))
  if not (given and back) then
    return damaged(treasury_key)
  end
  granted[number], received[number] = tonumber(given), tonumber(back)
end
local asked = {}
for index = 1, #ARGV, 4 do
  for place = index, index + 3 do
    if not whole(ARGV[place]) then
      return redis.error_reply('NOT_INTEGER ' .. (ARGV[place] or 'nothing'))
    end
  end
  local number = tonumber(ARGV[index])
  if not granted[number] then
    return redis.error_reply('UNKNOWN_PARTITION ' .. ARGV[index])
  elseif tonumber(ARGV[index + 1]) > granted[number] then
    return redis.error_reply('AHEAD ' .. ARGV[index])
  end
  received[number] = math.max(received[number], tonumber(ARGV[index + 1]))
  asked[#asked + 1] = { number = number, seen = tonumber(ARGV[index + 2]), units = tonumber(ARGV[index + 3]) }
end
for number = 0, count - 1 do
  outstanding = outstanding + granted[number] - received[number]
end
local free = limit - outstanding
for _, one in ipairs(asked) do
  local units = math.min(one.units, math.max(0, free), MAX_INT - granted[one.number])
  if one.seen == granted[one.number] then
    granted[one.number], free = granted[one.number] + units, free - units
  end
end

-- Writes start here.
-- There is always one, so that a WAIT after it covers all that the reply says.
local reply = { limit, free, count }
for number = 0, count - 1 do
  redis.call('HSET', treasury_key, 'granted:' .. text(number), text(granted[number]),
    'received:' .. text(number), text(received[number]))
  for _, value in ipairs({ number, granted[number], received[number] }) do
    reply[#reply + 1] = value
  end
end
redis.call('HINCRBY', treasury_key, 'seq', 1)
return reply
