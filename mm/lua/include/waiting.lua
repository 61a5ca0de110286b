-- Snippet: the two queues of symbols that wait for exposure.

-- walk_queue(waiting_key, reservation_prefix, side, free, ended, visit) -> units left.
-- Goes through the waiting symbols in the order in which they began to wait while units are
-- free, calls visit(symbol, free, claim, unit) for each, stops when it returns true, and else
-- sets the symbol's claim aside: what it asked for less what it holds. `side` is bid or ask,
-- `unit` the units of one lot; a reservation in the set `ended` counts as empty.
local function walk_queue(waiting_key, reservation_prefix, side, free, ended, visit)
  local from = 0
  while free > 0 do
    local waiters = redis.call('ZRANGE', waiting_key, from, from + 31)
    for _, symbol in ipairs(waiters) do
      local held = redis.call('HMGET', reservation_prefix .. symbol,
        side .. '_units', side .. '_wanted_lots', side .. '_lot_units')
      local unit = tonumber(held[3]) or 0
      local holds = ended[symbol] and 0 or tonumber(held[1]) or 0
      local claim = math.max(0, (tonumber(held[2]) or 0) * unit - holds)
      if visit(symbol, free, claim, unit) then
        return free
      end
      free = free - claim
      if free <= 0 then
        return 0
      end
    end
    if #waiters < 32 then
      return free
    end
    from = from + 32
  end
  return math.max(0, free)
end
