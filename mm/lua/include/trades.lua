-- Include: what a quote rule may know of the trades in a committed position: a fair price and the last ones.

-- INCLUDE count

local floor, max = math.floor, math.max
-- So many last trades are kept with a position.
local KEEP_TRADES = 16

-- load_trades(position, fair_weight, fair_ticks, fair_rest, trades) puts the stored words into the position:
-- fair_weight (per cent), fair_ticks and fair_rest (hundredths of a tick, 0 to 99), which are 0 before the
-- first trade, and the trades as text: "lots ticks lots ticks ...", the newest last, where `lots` is the
-- change of the maker's position. new_trades are the trade_count trades of this step, lots and ticks in turn.
-- A system of an earlier version lacks them: its weight is 100.
local function load_trades(position, fair_weight, fair_ticks, fair_rest, trades)
  position.fair_weight = tonumber(fair_weight) or 100
  position.fair_ticks, position.fair_rest = tonumber(fair_ticks) or 0, tonumber(fair_rest) or 0
  position.trades, position.new_trades, position.trade_count = trades or '', {}, 0
end

-- move_fair(position, ticks) moves the fair price by fair_weight per cent of the way to a trade, to the
-- nearest hundredth of a tick. The first trade is the first fair price. No product leaves the exact
-- integers, however far the way is.
local function move_fair(position, ticks)
  local fair, rest, weight = position.fair_ticks, position.fair_rest, position.fair_weight
  if fair == 0 then
    position.fair_ticks = ticks
    return
  end
  local away = ticks - fair
  local hundreds = floor(away / 100)
  local hundredths = rest + (away - 100 * hundreds) * weight - floor((rest * weight + 50) / 100)
  local carry = floor(hundredths / 100)
  position.fair_ticks, position.fair_rest = fair + hundreds * weight + carry, hundredths - 100 * carry
end

-- keep_trade(position, lots, ticks) adds a trade to those of this step.
local function keep_trade(position, lots, ticks)
  local new, count = position.new_trades, position.trade_count
  new[2 * count + 1], new[2 * count + 2] = lots, ticks
  position.trade_count = count + 1
end

-- trades_text(position) -> the last KEEP_TRADES trades as text, those of this step included
local function trades_text(position)
  local new, count = position.new_trades, position.trade_count
  local words, kept = {}, KEEP_TRADES - count
  if kept > 0 and position.trades ~= '' then
    -- A pattern takes the start of a text in one pass, and not its end: so the end becomes the start.
    local newest_first = string.reverse(position.trades)
    local cut = string.match(newest_first, '^' .. string.rep('%S+ ', 2 * kept - 1) .. '%S+')
    words[1] = string.reverse(cut or newest_first)
  end
  for index = max(1, 1 - 2 * kept), 2 * count do
    words[#words + 1] = digits(new[index])
  end
  return table.concat(words, ' ')
end
