-- Snippet: what a proposal must be, and its place in the queues.

-- Why a quote may be placed (rule R4); a raw fill is none of them.
local TRIGGERS = { position = true, refresh = true, expired = true, bootstrap = true,
  capacity = true }

-- proposal_fault(asked, position_version, quote_version, trigger, maker_id, most) -> why it is not
-- a proposal, or nil. `most` is position limit x multiplier: a price times it must stay an exact
-- integer.
local function proposal_fault(asked, position_version, quote_version, trigger, maker_id, most)
  local bid, ask = asked.bid, asked.ask
  if not (bid.ticks and bid.lots and ask.ticks and ask.lots and position_version
      and quote_version) then
    return 'versions, prices and quantities must be integers from 0 to 2^53 - 1'
  elseif bid.ticks == 0 or bid.ticks >= ask.ticks then
    return 'prices must be 0 < bid < ask'
  elseif ask.ticks * most > MAX_INT then
    return 'price x position limit x multiplier must stay below 2^53'
  elseif not TRIGGERS[trigger] then
    return 'trigger must be position, refresh, expired, bootstrap or capacity'
  elseif #maker_id > 64 or not string.find(maker_id, '^[A-Za-z0-9._-]+$') then
    return 'maker_id must be 1 to 64 of A-Z a-z 0-9 . _ -'
  end
  return nil
end

-- queue_up(exposure_key, waiting, symbol, sides, own) keeps the symbol's place in both queues.
-- Whoever has all that it could have waits no more. Whoever gains units has been served and goes
-- to the end for the rest; whoever gains none keeps its place, or begins to wait now.
local function queue_up(exposure_key, waiting, symbol, sides, own)
  for _, side in ipairs({ 'bid', 'ask' }) do
    local granted = sides[side]
    if granted.lots >= granted.most then
      if granted.since then
        redis.call('ZREM', waiting[side], symbol)
      end
    elseif not granted.since or granted.units > own[side] then
      local place = redis.call('HINCRBY', exposure_key, 'wait_seq', 1)
      redis.call('ZADD', waiting[side], place, symbol)
    end
  end
end
