-- Include: how large a side of a quote may be, so that every fill of it can be committed.

-- INCLUDE base

-- room_lots(position, side, ticks) -> the most lots of the side, bid or ask, that keep the position
-- within its limit (R10) and every number of its commits at most 2^53 - 1 (R1). `position` has limit,
-- net (lots), cash (ticks) and fill_seq. A fill has one lot at least. So the fills of both sides take
-- no more numbers than the quote has lots.
local function room_lots(position, side, ticks)
  local sign = side == 'bid' and 1 or -1
  -- A bid spends cash, an ask earns it. The cash of one fill is at most 2^53 - 1 too.
  local cash = MAX_INT + math.min(0, sign * position.cash)
  return math.max(0, math.min(position.limit - sign * position.net, math.floor(cash / ticks),
    math.floor((MAX_INT - position.fill_seq) / 2)))
end
