#!lua flags=allow-oom
-- End the quotes that no maker is left to replace, and let no symbol wait for exposure any more.
--
-- It is called when the makers have stopped in order. While a maker is live nothing changes.
--
-- KEYS   exposure expiry quotes config processes waiting:bid waiting:ask quote:* reservation:*
-- ARGV   1 system_id: the system that the caller has joined
--        2 live_ms: silence after which a process counts as dead
-- REPLY  {{quote_id, ...} of the ended quotes, more(0/1), {name, ...} of the live makers}
-- ERRORS FOREIGN_SYSTEM (the system_id that the keys hold, or nothing), DAMAGED (a required key is
--        missing)
-- EMITS  quotes (withdrawn; expired for a quote whose expiry has passed)

-- INCLUDE base
-- INCLUDE damage
-- INCLUDE presence
-- INCLUDE waiting
-- INCLUDE expiry
local expiry_key, config_key, processes_key = KEYS[2], KEYS[4], KEYS[5]
local waiting, reservation_prefix = { bid = KEYS[6], ask = KEYS[7] }, KEYS[9]
local keys = { exposure = KEYS[1], expiry = expiry_key, quotes = KEYS[3], quote = KEYS[8],
  reservation = reservation_prefix }

local now = now_ms()
local system_id, keep_quotes = unpack(redis.call('HMGET', config_key, 'system_id', 'keep_quotes'))
if system_id ~= ARGV[1] then
  return redis.error_reply('FOREIGN_SYSTEM ' .. (system_id or 'nothing'))
elseif not keep_quotes then
  return damaged(config_key)
end
local live = live_processes(processes_key, 'maker', tonumber(ARGV[2]), now)
if #live > 0 then
  return { {}, 0, live }
end
local standing = redis.call('ZRANGE', expiry_key, 0, MAX_DUE - 1, 'WITHSCORES')
local waiters, full = {}, #standing == 2 * MAX_DUE
for _, queue in pairs(waiting) do
  local found = redis.call('ZRANGE', queue, 0, MAX_DUE - 1)
  full = full or #found == MAX_DUE
  for _, symbol in ipairs(found) do
    waiters[#waiters + 1] = symbol
  end
end

-- Writes start here.
local ended = {}
for index = 1, #standing, 2 do
  local expired = tonumber(standing[index + 1]) <= now
  ended[#ended + 1] = end_quote(keys, standing[index], expired and 'expired' or 'withdrawn', now,
    keep_quotes, not expired and 'stopped' or nil)
end
for _, symbol in ipairs(waiters) do
  leave_queues(waiting, reservation_prefix, symbol)
end
return { ended, full and 1 or 0, live }
