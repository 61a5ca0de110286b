-- Include: what a quote rule may know of the trades in a committed position: a fair price and the last ones.

local floor = math.floor
-- So many last trades are kept with a position.
local KEEP_TRADES = 16

-- load_trades(position, fair_weight, fair_ticks, fair_rest, trades) puts the stored words into the position:
-- fair_weight (per cent), fair_ticks and fair_rest (hundredths of a tick, 0 to 99), which are 0 before the
-- first trade, and the trades as text: "lots ticks lots ticks ...", the newest last, where `lots` is the
-- change of the maker's position. new_trades are those of this step, a text each. A system of an earlier
-- version lacks them: its weight is 100.
local function load_trades(position, fair_weight, fair_ticks, fair_rest, trades)
  position.fair_weight = tonumber(fair_weight) or 100
  position.fair_ticks, position.fair_rest = tonumber(fair_ticks) or 0, tonumber(fair_rest) or 0
  position.trades, position.new_trades = trades or '', {}
end

-- move_fair(position, ticks) moves the fair price by fair_weight per cent of the way to a trade, to the
-- nearest hundredth of a tick. The first trade is the first fair price. No product leaves the exact
-- integers, however far the way is.
local function move_fair(position, ticks)
  if position.fair_ticks == 0 then
    position.fair_ticks = ticks
    return
  end
  local weight, rest, away = position.fair_weight, position.fair_rest, ticks - position.fair_ticks
  local hundreds = floor(away / 100)
  local hundredths = rest + (away - 100 * hundreds) * weight - floor((rest * weight + 50) / 100)
  local carry = floor(hundredths / 100)
  position.fair_ticks = position.fair_ticks + hundreds * weight + carry
  position.fair_rest = hundredths - 100 * carry
end

-- trades_text(position) -> the last KEEP_TRADES trades as text, those of this step included
local function trades_text(position)
  local kept, new = {}, position.new_trades
  if #new < KEEP_TRADES then
    for trade in string.gmatch(position.trades, '%S+ %S+') do
      kept[#kept + 1] = trade
    end
  end
  for _, trade in ipairs(new) do
    kept[#kept + 1] = trade
  end
  return table.concat(kept, ' ', math.max(1, #kept - KEEP_TRADES + 1))
end
