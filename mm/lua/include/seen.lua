-- Include: the first outcome of each order, by client_id/order_id.
--
-- Each deduplication window has a hash of its own, its bucket.

-- INCLUDE base

-- first_outcomes(seen_prefix, bucket, keys) -> outcome by key, from the bucket and the one before it.
-- So an order is remembered for at least one window and at most two.
local function first_outcomes(seen_prefix, bucket, keys)
  local seen = {}
  for _, hash in ipairs({ seen_prefix .. text(bucket - 1), seen_prefix .. text(bucket) }) do
    if #keys > 0 and redis.call('EXISTS', hash) == 1 then
      for from = 1, #keys, 4000 do
        local to = math.min(from + 3999, #keys)
        local outcomes = redis.call('HMGET', hash, unpack(keys, from, to))
        for index = from, to do
          seen[keys[index]] = outcomes[index - from + 1] or nil
        end
      end
    end
  end
  return seen
end

-- remember(seen_prefix, bucket, window, outcomes) stores the flat list of keys and outcomes in the
-- bucket, until it is two windows old.
local function remember(seen_prefix, bucket, window, outcomes)
  local hash = seen_prefix .. text(bucket)
  for from = 1, #outcomes, 2000 do
    redis.call('HSET', hash, unpack(outcomes, from, math.min(from + 1999, #outcomes)))
  end
  if #outcomes > 0 then
    redis.call('PEXPIREAT', hash, text((bucket + 2) * window))
  end
end
