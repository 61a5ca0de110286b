-- Include: what is remembered of each order, by client_id/order_id: its content and its outcome.
--
-- Each deduplication window has a hash of its own, its bucket. A value is "CONTENT OUTCOME"; an outcome
-- is six words. Values of schema 1 have no content.

-- INCLUDE base

-- The longest content in bytes. That of an order has 55 at most, a bad line any number.
local MAX_CONTENT = 200

-- content_of(line, client) -> what makes the order of an id this order and no other: its line without
-- its client id
local function content_of(line, client)
  return string.sub(line, #client + 2, #client + 1 + MAX_CONTENT)
end

-- outcome_of_same(remembered, content) -> the outcome of the remembered order if it has this content,
-- else nil: then the order id was used before for another order.
local function outcome_of_same(remembered, content)
  local known, outcome = string.match(remembered, '^(.*) (%S+ %S+ %S+ %S+ %S+ %S+)$')
  if known == content then
    return outcome
  elseif not known then
    return remembered
  end
  return nil
end

-- remembered_orders(seen_prefix, bucket, keys) -> value by key, from the bucket and the one before it.
-- So an order is remembered for at least one window and at most two.
local function remembered_orders(seen_prefix, bucket, keys)
  local seen = {}
  for _, hash in ipairs({ seen_prefix .. text(bucket - 1), seen_prefix .. text(bucket) }) do
    if #keys > 0 and redis.call('EXISTS', hash) == 1 then
      for from = 1, #keys, 4000 do
        local to = math.min(from + 3999, #keys)
        local values = redis.call('HMGET', hash, unpack(keys, from, to))
        for index = from, to do
          seen[keys[index]] = values[index - from + 1] or nil
        end
      end
    end
  end
  return seen
end

-- remember(seen_prefix, bucket, window, outcomes) stores the flat list of keys and values in the
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
