#!lua flags=allow-oom
-- Remove a process that stops in an orderly way. The others need not wait until its silence shows.
--
-- KEYS   processes process:* lifecycle
-- READS  config
-- ARGV   1 system_id: the system that the process has joined  2 name (kind-id)  3 kind
--        4 run: the word that names this start of the process  5 pid
-- REPLY  1 if the process was removed, else 0: it is unknown, another process of its name has been
--        heard since, or the keys hold another system
-- ERRORS none
-- EMITS  lifecycle (stopped), for a name that is known

-- INCLUDE base
-- INCLUDE lifecycle
local READS, ARGV = take_reads(1)
local processes_key, process_prefix, lifecycle_key = KEYS[1], KEYS[2], KEYS[3]
local name, kind, run, pid = ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local now = now_ms()
local last_run = redis.call('HGET', process_prefix .. name, 'run')
if not last_run or redis.call('HGET', READS[1], 'system_id') ~= ARGV[1] then
  return 0
end

-- Writes start here.
tell(lifecycle_key, 'stopped', name, kind, pid, now)
if last_run ~= run then
  return 0
end
redis.call('DEL', process_prefix .. name)
return redis.call('ZREM', processes_key, name)
