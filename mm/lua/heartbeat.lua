#!lua flags=allow-oom
-- Record that a process is alive and what it has done; reply with the live processes of its kind.
--
-- KEYS   processes process:*
-- ARGV   1 name (kind-id)  2 kind  3 live_ms: silence after which a process counts as dead
--        4 count: things done in all  5 .. field, value of its hash, ...
-- REPLY  {now_ms, {name, ...} of the live processes of that kind, sorted}
-- ERRORS none
-- EMITS  nothing

-- INCLUDE base
local processes_key, process_prefix = KEYS[1], KEYS[2]
local name, kind, live_ms, count = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local now = now_ms()
local last_ms, last_count = unpack(redis.call('HMGET', process_prefix .. name, 'heartbeat_ms',
  'count'))
local rate = 0
local fields = { 'kind', kind, 'heartbeat_ms', text(now), 'count', text(count) }
for index = 5, #ARGV, 2 do
  fields[#fields + 1] = ARGV[index]
  fields[#fields + 1] = ARGV[index + 1]
end
if last_ms and now > tonumber(last_ms) then
  rate = math.floor(math.max(0, count - tonumber(last_count)) * 1000 / (now - tonumber(last_ms)))
end

-- Writes start here.
redis.call('HSET', process_prefix .. name, 'rate_per_s', text(rate), unpack(fields))
redis.call('PEXPIRE', process_prefix .. name, 3600000)
redis.call('ZADD', processes_key, text(now), name)
redis.call('ZREMRANGEBYSCORE', processes_key, '-inf', text(now - 3600000))
local live = {}
-- A heartbeat later than now was made before the clock was set back. It does not count as heard.
local heard = redis.call('ZRANGEBYSCORE', processes_key, text(now - live_ms), text(now))
for _, other in ipairs(heard) do
  if string.find(other, kind .. '-', 1, true) == 1 then
    live[#live + 1] = other
  end
end
table.sort(live)
return { now, live }
