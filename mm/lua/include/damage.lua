-- Include: the answer when a key of the system is missing, for example deleted by another program.

-- INCLUDE base

-- damaged(key) -> the error reply. The script has written nothing and must return it at once.
local function damaged(key)
  return redis.error_reply('DAMAGED ' .. key
    .. ' is missing or incomplete: stop what changes the keys, and restore the data from a backup')
end

-- lost_memory(fills_key, state_cursor, seen_prefix, bucket, window, now) -> the missing key, or nil.
-- It is the ledger when fills have been committed from it, or the hash of the newest outcomes
-- before its own expiry. Without that hash an order that is sent again would execute twice.
local function lost_memory(fills_key, state_cursor, seen_prefix, bucket, window, now)
  if state_cursor ~= '0-0' and redis.call('EXISTS', fills_key) == 0 then
    return fills_key
  elseif bucket and now < (bucket + 2) * window then
    local hash = seen_prefix .. text(bucket)
    return redis.call('EXISTS', hash) == 0 and hash or nil
  end
  return nil
end
