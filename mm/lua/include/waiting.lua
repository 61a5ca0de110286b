-- Include: the two queues of symbols that wait for exposure, one for each side of a quote.

-- claim_of(reservation_prefix, symbol, side, ended) -> the units of the side, bid or ask, that the symbol
-- wants and does not hold, and those of one lot. A symbol in the set `ended` holds nothing.
local function claim_of(reservation_prefix, symbol, side, ended)
  local units, wanted_lots, lot_units_word = unpack(redis.call('HMGET', reservation_prefix .. symbol,
    side .. '_units', side .. '_wanted_lots', side .. '_lot_units'))
  local lot_units = tonumber(lot_units_word) or 0
  local held = ended[symbol] and 0 or tonumber(units) or 0
  return math.max(0, (tonumber(wanted_lots) or 0) * lot_units - held), lot_units
end

-- walk_queue(waiting_key, reservation_prefix, side, free, ended, visit) -> units left.
-- Goes through the waiting symbols in the order in which they began to wait, while units are free.
-- It calls visit(symbol, free, claim, lot_units) for each and stops when that returns true. Else it
-- subtracts the symbol's claim: the units that it wants and does not hold. `side` is bid or ask.
-- The reservations of the symbols in the set `ended` count as empty.
local function walk_queue(waiting_key, reservation_prefix, side, free, ended, visit)
  local from = 0
  while free > 0 do
    local symbols = redis.call('ZRANGE', waiting_key, from, from + 31)
    for _, symbol in ipairs(symbols) do
      local claim, lot_units = claim_of(reservation_prefix, symbol, side, ended)
      if visit(symbol, free, claim, lot_units) then
        return free
      end
      free = free - claim
      if free <= 0 then
        return 0
      end
    end
    if #symbols < 32 then
      return free
    end
    from = from + 32
  end
  return math.max(0, free)
end

-- leave_queues(waiting, reservation_prefix, symbol) ends what the symbol wants beyond its quote.
-- `waiting` has the key of each queue.
local function leave_queues(waiting, reservation_prefix, symbol)
  redis.call('HSET', reservation_prefix .. symbol, 'bid_wanted_lots', '0', 'ask_wanted_lots', '0')
  redis.call('ZREM', waiting.bid, symbol)
  redis.call('ZREM', waiting.ask, symbol)
end

-- queue_up(exposure_key, waiting, symbol, sides, own) updates the symbol's place in both queues.
-- A symbol that holds all wanted lots leaves the queue. Of the others, a symbol that gained units
-- moves to the end for the rest; one that gained none keeps its place, or joins at the end.
-- `waiting` has the key of each queue, `sides` what place.lua decided for each side, and `own` the
-- units that the symbol held before.
local function queue_up(exposure_key, waiting, symbol, sides, own)
  for _, name in ipairs({ 'bid', 'ask' }) do
    local side = sides[name]
    if side.lots >= side.wanted_lots then
      if side.waiting_since then
        redis.call('ZREM', waiting[name], symbol)
      end
    elseif not side.waiting_since or side.units > own[name] then
      local place = redis.call('HINCRBY', exposure_key, 'wait_seq', 1)
      redis.call('ZADD', waiting[name], place, symbol)
    end
  end
end
