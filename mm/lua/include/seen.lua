-- Snippet: first outcomes by client_id/order_id, in one hash a deduplication window.

-- first_outcomes(prefix, bucket, keys) -> outcome by key, of those remembered in the bucket or in
-- the one before it, so that an order is known for one window at least and two at most.
local function first_outcomes(prefix, bucket, keys)
  local seen = {}
  for _, hash in ipairs({ prefix .. text(bucket - 1), prefix .. text(bucket) }) do
    if #keys > 0 and redis.call('EXISTS', hash) == 1 then
      for from = 1, #keys, 4000 do
        local to = math.min(from + 3999, #keys)
        local outcomes = redis.call('HMGET', hash, unpack(keys, from, to))
        for i = from, to do
          seen[keys[i]] = outcomes[i - from + 1] or nil
        end
      end
    end
  end
  return seen
end

-- remember(prefix, bucket, window, outcomes) stores the flat list of keys and outcomes.
local function remember(prefix, bucket, window, outcomes)
  local hash = prefix .. text(bucket)
  for from = 1, #outcomes, 2000 do
    redis.call('HSET', hash, unpack(outcomes, from, math.min(from + 1999, #outcomes)))
  end
  if #outcomes > 0 then
    redis.call('PEXPIREAT', hash, text((bucket + 2) * window))
  end
end
