#!lua flags=allow-oom
-- Remove a process that stops in an orderly way. The others need not wait until its silence shows.
--
-- KEYS   processes process:*
-- ARGV   1 name (kind-id)
-- REPLY  1 if the process was known, else 0
-- ERRORS none
-- EMITS  nothing

local processes_key, process_prefix = KEYS[1], KEYS[2]
local name = ARGV[1]

-- Writes start here.
redis.call('DEL', process_prefix .. name)
return redis.call('ZREM', processes_key, name)
