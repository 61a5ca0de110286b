-- Include: the check that a proposal is well formed.

-- INCLUDE base

-- What may cause a quote. An uncommitted fill is not among them (rule R4).
local TRIGGERS = { position = true, refresh = true, expired = true, bootstrap = true,
  capacity = true }

-- asked_of(words) -> what the words of a proposal, in their order in ARGV, ask for: position_version,
-- quote_version, and bid and ask, each {ticks, lots}; nil for a text that is not an integer from 0 to
-- 2^53 - 1.
local function asked_of(words)
  return { bid = { ticks = whole(words[6]), lots = whole(words[7]) },
    ask = { ticks = whole(words[8]), lots = whole(words[9]) },
    position_version = whole(words[4]), quote_version = whole(words[5]) }
end

-- proposal_fault(asked, trigger, maker_id, max_factor) -> why the proposal is malformed, or nil.
-- `max_factor` is the larger of the position
-- limit and the notional units of a tick x lot: both are multiplied by prices, which must stay exact.
local function proposal_fault(asked, trigger, maker_id, max_factor)
  local bid, ask = asked.bid, asked.ask
  if not (bid.ticks and bid.lots and ask.ticks and ask.lots and asked.position_version
      and asked.quote_version) then
    return 'versions, prices and quantities must be integers from 0 to 2^53 - 1'
  elseif bid.ticks == 0 or bid.ticks >= ask.ticks then
    return 'prices must be 0 < bid < ask'
  elseif asked.quote_version == MAX_INT then
    return 'the symbol has used all quote versions up to 2^53 - 1'
  elseif ask.ticks * max_factor > MAX_INT then
    return 'price x position limit and price x notional units must stay below 2^53'
  elseif not TRIGGERS[trigger] then
    return 'trigger must be position, refresh, expired, bootstrap or capacity'
  elseif #maker_id > 64 or not string.find(maker_id, '^[A-Za-z0-9._-]+$') then
    return 'maker_id must be 1 to 64 of A-Z a-z 0-9 . _ -'
  end
  return nil
end
