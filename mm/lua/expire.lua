#!lua flags=allow-oom
-- End the expired quotes: release their exposure and announce them.
--
-- KEYS   exposure expiry quotes quote:* reservation:*
-- READS  config
-- ARGV   none
-- REPLY  {{quote_id, ...}, more(0/1), now_ms, next_expiry_ms or 0}
-- ERRORS DAMAGED (a required key is missing)
-- EMITS  quotes (expired)

-- INCLUDE base
-- INCLUDE damage
-- INCLUDE expiry
local READS = take_reads(1)
local expiry_key, config_key = KEYS[2], READS[1]
local keys = { exposure = KEYS[1], expiry = expiry_key, quotes = KEYS[3], quote = KEYS[4],
  reservation = KEYS[5] }

local now = now_ms()
local keep_quotes = redis.call('HGET', config_key, 'keep_quotes')
if not keep_quotes then
  return damaged(config_key)
end
local due = due_quotes(expiry_key, now)

-- Writes start here.
local ended = end_due_quotes(keys, due, now, keep_quotes)
local next_expiry = redis.call('ZRANGE', expiry_key, 0, 0, 'WITHSCORES')[2]
return { ended, #due == MAX_DUE and 1 or 0, now, tonumber(next_expiry) or 0 }
