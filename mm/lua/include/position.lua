-- Include: a committed position in memory, and the effect of a fill on it.

-- INCLUDE base
-- INCLUDE count
-- INCLUDE mode
-- INCLUDE trades

local match, abs = string.match, math.abs
local FILL, OLD_FILL = '^(%a+) (%d+) (%d+) %S+ %S+ %S+ %d+ (%d+)$', '^(%a+) (%d+) (%d+) %S+ %S+ %S+ %d+$'

-- parse_fill(fill_id, line) -> symbol, seq (as text), signed_lots, ticks, spread of a fill. `signed_lots`
-- is the change of the maker's position, `spread` the quote's in ticks: nil in a record of an earlier
-- version, which lacks it. Of a malformed record it returns the symbol at most.
local function parse_fill(fill_id, line)
  local symbol, seq = match(fill_id, '^([A-Z0-9._-]+)-(%d+)$')
  local side, lots_word, price_word, spread_word = match(line, FILL)
  if not side then
    side, lots_word, price_word = match(line, OLD_FILL)
  end
  local lots, ticks = side and count_of(lots_word), side and count_of(price_word)
  local spread = spread_word and count_of(spread_word)
  if not (lots and ticks) or spread_word and not spread or side ~= 'buy' and side ~= 'sell' then
    return symbol
  end
  return symbol, seq, side == 'buy' and -lots or lots, ticks, spread
end

-- load_position(keys, symbol) -> position, or false when the symbol is unknown. `keys` has the prefixes
-- symbol, terms and position. A position has net (lots), cash and cost (ticks), version, last_ticks,
-- twice_spread (twice the spread earned, ticks x lots), what load_trades() adds, halted (why, or false),
-- and of its symbol fill_seq (as text), mode (or false), the bounds of its protection most_lots and
-- most_loss (0 for none), and frozen_until (ms). `traded` counts the lots applied to it since.
local function load_position(keys, symbol)
  local fill_seq = redis.call('HGET', keys.symbol .. symbol, 'fill_seq')
  if not fill_seq then
    return false
  end
  local mode, most_lots, most_loss, fair_weight = unpack(redis.call('HMGET', keys.terms .. symbol, 'mode',
    'protection_lots', 'protection_loss_ticks', 'fair_weight'))
  local net, cash, cost, version, last_ticks, halted, frozen_until, flattened_ms, twice_spread, fair_ticks,
    fair_rest, trades = unpack(redis.call('HMGET', keys.position .. symbol, 'net_lots', 'cash_ticks',
    'cost_ticks', 'position_version', 'last_price_ticks', 'halted', 'frozen_until_ms', 'flattened_ms',
    'twice_spread_ticks', 'fair_ticks', 'fair_rest', 'trades'))
  local position = { net = tonumber(net) or 0, cash = tonumber(cash) or 0, cost = tonumber(cost) or 0,
    version = tonumber(version) or 0, last_ticks = tonumber(last_ticks) or 0, halted = halted,
    fill_seq = fill_seq, mode = own_mode(mode, flattened_ms), most_lots = tonumber(most_lots) or 0,
    most_loss = tonumber(most_loss) or 0, frozen_until = tonumber(frozen_until) or 0, traded = 0,
    twice_spread = tonumber(twice_spread) or 0 }
  load_trades(position, fair_weight, fair_ticks, fair_rest, trades)
  position.value_before = position.cash + position.net * position.last_ticks
  return position
end

-- share(cost, part, total) -> floor(cost x part / total), exact although the product may exceed
-- 2^53; part < total
local function share(cost, part, total)
  local each = floor(cost / total)
  local rest, quotient, remainder = cost - each * total, 0, 0
  if rest * part <= MAX_INT then
    return each * part + floor(rest * part / total)
  end
  -- rest x part / total by long multiplication, one bit of part at a time.
  for bit = 52, 0, -1 do
    local add = floor(part / 2 ^ bit) % 2 == 1 and rest or 0
    quotient = quotient * 2
    for _, term in ipairs({ remainder, add }) do
      remainder = remainder - (total - term)
      if remainder >= 0 then
        quotient = quotient + 1
      else
        remainder = remainder + total
      end
    end
  end
  return each * part + quotient
end

-- apply_fill(position, fill_id, seq, signed_lots, ticks, spread) -> nil when the fill has been applied,
-- else why not, with the position unchanged. A fill that closes lots lowers the cost of the open lots in
-- proportion (average cost). The sum of the spread bounds no trading: it is stored up to 2^53 - 1.
local function apply_fill(position, fill_id, seq, signed_lots, ticks, spread)
  local old_net, version = position.net, position.version + 1
  if not seq then
    return 'not a fill record'
  elseif seq ~= text(version) then
    return 'sequence: expected ' .. text(version) .. ' got ' .. seq
  end
  local net, traded = old_net + signed_lots, signed_lots * ticks
  local cash, cost = position.cash - traded, net * ticks
  if old_net * signed_lots >= 0 then
    cost = position.cost + traded
  elseif net * old_net > 0 then
    local open = share(abs(position.cost), abs(net), abs(old_net))
    cost = net > 0 and open or -open
  end
  if max(abs(net), abs(traded), abs(cash), abs(cost)) > MAX_INT then
    return 'overflow: a number would exceed 2^53 - 1'
  end
  position.net, position.cash, position.cost = net, cash, cost
  position.version, position.last_id, position.last_ticks = version, fill_id, ticks
  position.traded = position.traded + abs(signed_lots)
  move_fair(position, ticks)
  if spread then
    position.twice_spread = position.twice_spread + abs(signed_lots) * spread
    keep_trade(position, signed_lots, ticks)
  end
  return nil
end

-- store_position(position_prefix, symbol, position, now) -> the record of the committed update
local function store_position(position_prefix, symbol, position, now)
  local net, cash, version = text(position.net), text(position.cash), text(position.version)
  local last_ticks, twice_spread = text(position.last_ticks), text(math.min(position.twice_spread, MAX_INT))
  redis.call('HSET', position_prefix .. symbol, 'net_lots', net, 'cash_ticks', cash,
    'cost_ticks', text(position.cost), 'position_version', version,
    'last_fill_id', position.last_id, 'last_price_ticks', last_ticks, 'updated_ms', text(now),
    'twice_spread_ticks', twice_spread, 'fair_ticks', text(position.fair_ticks),
    'fair_rest', text(position.fair_rest), 'trades', trades_text(position))
  return table.concat({ net, cash, version, last_ticks, text(now) }, ' ')
end
