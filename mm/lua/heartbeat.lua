#!lua flags=allow-oom
-- Record that a process is alive and what it has done; reply with the live processes of its kind.
--
-- Only a process that has been heard without a gap for longer than live_ms finds others lost. After a
-- pause of the server nobody was heard, and all must first have had time to be heard again.
--
-- KEYS   processes process:* lifecycle server
-- READS  config
-- ARGV   1 system_id: the system that the process has joined  2 name (kind-id)  3 kind
--        4 live_ms: silence after which a process counts as dead  5 count: things done in all
--        6 run: a word that names this start of the process  7 first(0/1): no heartbeat of this start
--        was answered yet  8 server_run: the server's run id, or -  9 pid  10 .. field, value of its
--        hash, ...
-- REPLY  {now_ms, {name, ...} of the live processes of that kind, sorted}
-- ERRORS FOREIGN_SYSTEM (the system_id that the keys hold, or nothing)
-- EMITS  lifecycle (started, lost, returned, server_started)

-- INCLUDE base
-- INCLUDE lifecycle
-- INCLUDE presence
local READS, ARGV = take_reads(1)
local processes_key, process_prefix, lifecycle_key, server_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local name, kind, live_ms, count = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local run, first, server_run, pid = ARGV[6], ARGV[7] == '1', ARGV[8], ARGV[9]
local HOUR_MS, MAX_LOST = 3600000, 256

local now = now_ms()
local system_id = redis.call('HGET', READS[1], 'system_id')
if system_id ~= ARGV[1] then
  return redis.error_reply('FOREIGN_SYSTEM ' .. (system_id or 'nothing'))
end
local last_ms, last_count, last_run, last_pid, steady_ms, lost = unpack(redis.call('HMGET',
  process_prefix .. name, 'heartbeat_ms', 'count', 'run', 'pid', 'steady_ms', 'lost'))
local silent_ms = last_ms and now - tonumber(last_ms)
local rate, since_ms = 0, now
if silent_ms and silent_ms > 0 then
  rate = math.floor(math.max(0, count - tonumber(last_count)) * 1000 / silent_ms)
end
if last_run == run and silent_ms >= 0 and silent_ms <= live_ms then
  since_ms = tonumber(steady_ms)
end
local fields = { 'kind', kind, 'heartbeat_ms', text(now), 'count', text(count), 'run', run,
  'pid', pid, 'steady_ms', text(since_ms), 'lost', '0' }
for index = 10, #ARGV, 2 do
  fields[#fields + 1] = ARGV[index]
  fields[#fields + 1] = ARGV[index + 1]
end
local silent = {}
if now - since_ms > live_ms then
  silent = redis.call('ZRANGEBYSCORE', processes_key, text(now - HOUR_MS), text(now - live_ms - 1),
    'LIMIT', 0, MAX_LOST)
end
local server_started = server_run ~= '-' and server_run ~= redis.call('HGET', server_key, 'run')
local last_heard_ms = server_started and redis.call('ZRANGE', processes_key, -1, -1, 'WITHSCORES')[2]

-- Writes start here.
if server_started then
  redis.call('HSET', server_key, 'run', server_run, 'since_ms', text(now))
  tell(lifecycle_key, 'server_started', '-', '-', '-', now, nil,
    last_heard_ms and text(tonumber(last_heard_ms)))
end
if first and last_run ~= run then
  tell(lifecycle_key, 'started', name, kind, pid, now, last_pid, last_ms)
elseif lost == '1' then
  tell(lifecycle_key, 'returned', name, kind, pid, now, nil, last_ms)
end
for _, other in ipairs(silent) do
  local other_kind, other_pid, heard_ms, was_lost = unpack(redis.call('HMGET',
    process_prefix .. other, 'kind', 'pid', 'heartbeat_ms', 'lost'))
  if heard_ms and was_lost ~= '1' and other ~= name then
    redis.call('HSET', process_prefix .. other, 'lost', '1')
    tell(lifecycle_key, 'lost', other, other_kind, other_pid, now, nil, heard_ms)
  end
end
redis.call('HSET', process_prefix .. name, 'rate_per_s', text(rate), unpack(fields))
redis.call('PEXPIRE', process_prefix .. name, HOUR_MS)
redis.call('ZADD', processes_key, text(now), name)
redis.call('ZREMRANGEBYSCORE', processes_key, '-inf', text(now - HOUR_MS))
return { now, live_processes(processes_key, kind, live_ms, now) }
