#!lua flags=allow-oom
-- Say that a process stops in order, so that the others need not wait for its silence.
--
-- KEYS   processes process:*
-- ARGV   1 name (kind-id)
-- REPLY  1 if it was known, else 0
-- ERRORS none
-- EMITS  nothing

local processes_key, process_prefix = KEYS[1], KEYS[2]
local name = ARGV[1]

-- Writes start here.
redis.call('DEL', process_prefix .. name)
return redis.call('ZREM', processes_key, name)
