-- Snippet: what to say when a key of the system's own is gone, as if a foreign program deleted it.

-- damaged(key) -> the error reply; nothing has been written, and nothing is until it is restored
local function damaged(key)
  return redis.error_reply('DAMAGED ' .. key
    .. ' is missing or incomplete: stop what changes the keys, and restore the data from a backup')
end

-- lost_memory(fills_key, state_cursor, seen_prefix, bucket, window, now) -> the key that is gone,
-- or nil: a ledger from which fills were once committed, or the hash of the newest outcomes
-- before its time, without which an order sent again would execute twice.
local function lost_memory(fills_key, state_cursor, seen_prefix, bucket, window, now)
  if state_cursor ~= '0-0' and redis.call('EXISTS', fills_key) == 0 then
    return fills_key
  elseif bucket and now < (bucket + 2) * window then
    local hash = seen_prefix .. text(bucket)
    return redis.call('EXISTS', hash) == 0 and hash or nil
  end
  return nil
end
