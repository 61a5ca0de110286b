-- Include: how large a side of a quote may be, so that every fill of it can be committed.

-- INCLUDE base

-- room_lots(position, side, ticks) -> the most lots of the side, bid or ask, that keep the position
-- within its limit (R10) and every number of its commits at most 2^53 - 1 (R1), and only shrink it when
-- it is `reducing` (R22). `position` has limit, net (lots), cash (ticks), fill_seq and reducing. A fill
-- has one lot at least. So the fills of both sides take
-- no more numbers than the quote has lots.
local function room_lots(position, side, ticks)
  local sign = side == 'bid' and 1 or -1
  local limit = position.reducing and 0 or position.limit
  -- A bid spends cash, an ask earns it. The cash of one fill is at most 2^53 - 1 too.
  local cash = MAX_INT + math.min(0, sign * position.cash)
  return math.max(0, math.min(limit - sign * position.net, math.floor(cash / ticks),
    math.floor((MAX_INT - position.fill_seq) / 2)))
end
