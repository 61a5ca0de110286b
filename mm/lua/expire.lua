#!lua flags=allow-oom
-- Release and announce the quotes that are past their deadline.
--
-- KEYS   exposure expiry quotes config quote:* reservation:*
-- ARGV   none
-- REPLY  {{quote_id, ...}, more(0/1), now_ms, next_expiry_ms or 0}
-- ERRORS DAMAGED (a key that must be there is not)
-- EMITS  quotes (expired)

-- INCLUDE base
-- INCLUDE damage
-- INCLUDE expiry
local exposure_key, expiry_key = KEYS[1], KEYS[2]
local keys = { expiry = expiry_key, quotes = KEYS[3], quote = KEYS[5], reservation = KEYS[6] }
local config_key = KEYS[4]

local now = now_ms()
local keep = redis.call('HGET', config_key, 'keep_quotes')
if not keep then
  return damaged(config_key)
end
local due, _, bid, ask = due_quotes(expiry_key, keys.reservation, now)

-- Writes start here.
local ended = {}
for _, one in ipairs(due) do
  ended[#ended + 1] = end_quote(keys, one.symbol, 'expired', now, keep)
end
if #due > 0 then
  redis.call('HINCRBY', exposure_key, 'bid_units', text(-bid))
  redis.call('HINCRBY', exposure_key, 'ask_units', text(-ask))
end
local next_expiry = redis.call('ZRANGE', expiry_key, 0, 0, 'WITHSCORES')[2]
return { ended, #due == 256 and 1 or 0, now, tonumber(next_expiry) or 0 }
