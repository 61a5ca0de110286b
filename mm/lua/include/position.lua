-- Snippet: a committed position in memory, and what a fill does to it. Needs count_of().

local match, abs, floor, max = string.match, math.abs, math.floor, math.max

-- parse_fill(fill_id, line) -> symbol, seq (its digits), signed, price: of a record that is not a
-- fill the symbol, if that can be read, and nothing else. `signed` is the maker's change in lots.
local function parse_fill(fill_id, line)
  local symbol, seq = match(fill_id, '^([A-Z0-9._-]+)-(%d+)$')
  local side, lots, price = match(line, '^(%a+) (%d+) (%d+) %S+ %S+ %S+ %d+$')
  local signed, ticks = side and count_of(lots), side and count_of(price)
  if signed and ticks and side == 'buy' then
    return symbol, seq, -signed, ticks
  elseif signed and ticks and side == 'sell' then
    return symbol, seq, signed, ticks
  end
  return symbol
end

-- load_position(symbol_prefix, position_prefix, symbol) -> {net, cash, cost, version, halted}, or
-- false when the symbol is unknown.
local function load_position(symbol_prefix, position_prefix, symbol)
  local s = redis.call('HMGET', symbol_prefix .. symbol, 'fill_seq', 'halted')
  if not s[1] then
    return false
  end
  local p = redis.call('HMGET', position_prefix .. symbol, 'net_lots', 'cash_ticks', 'cost_ticks',
    'position_version')
  return { net = tonumber(p[1]) or 0, cash = tonumber(p[2]) or 0, cost = tonumber(p[3]) or 0,
    version = tonumber(p[4]) or 0, halted = s[2] }
end

-- share(cost, part, whole_lots) -> floor(cost x part / whole_lots), exact although the product
-- may exceed 2^53; part < whole_lots
local function share(cost, part, whole_lots)
  local each = floor(cost / whole_lots)
  local rest, quotient, remainder = cost - each * whole_lots, 0, 0
  if rest * part <= MAX_INT then
    return each * part + floor(rest * part / whole_lots)
  end
  -- rest x part / whole_lots by long multiplication, a bit of part at a time.
  for bit = 52, 0, -1 do
    local add = floor(part / 2 ^ bit) % 2 == 1 and rest or 0
    quotient = quotient * 2
    for _, term in ipairs({ remainder, add }) do
      remainder = remainder - (whole_lots - term)
      if remainder >= 0 then
        quotient = quotient + 1
      else
        remainder = remainder + whole_lots
      end
    end
  end
  return each * part + quotient
end

-- apply_fill(position, fill_id, seq, signed, price) -> nil when applied, else why not, the position
-- unchanged. The cost of the open lots shrinks in proportion when a fill closes some (average cost).
local function apply_fill(position, fill_id, seq, signed, price)
  local held, version = position.net, position.version + 1
  if not seq then
    return 'not a fill record'
  elseif seq ~= text(version) then
    return 'sequence: expected ' .. text(version) .. ' got ' .. seq
  end
  local net, traded = held + signed, signed * price
  local cash, cost = position.cash - traded, net * price
  if held * signed >= 0 then
    cost = position.cost + traded
  elseif net * held > 0 then
    local open = share(abs(position.cost), abs(net), abs(held))
    cost = net > 0 and open or -open
  end
  if max(abs(net), abs(traded), abs(cash), abs(cost)) > MAX_INT then
    return 'overflow: a number would exceed 2^53 - 1'
  end
  position.net, position.cash, position.cost = net, cash, cost
  position.version, position.last_id, position.last_price = version, fill_id, price
  return nil
end

-- store_position(position_prefix, symbol, position, now) -> the record of the committed update
local function store_position(position_prefix, symbol, position, now)
  local net, cash, version = text(position.net), text(position.cash), text(position.version)
  local price = text(position.last_price)
  redis.call('HSET', position_prefix .. symbol, 'net_lots', net, 'cash_ticks', cash,
    'cost_ticks', text(position.cost), 'position_version', version,
    'last_fill_id', position.last_id, 'last_price_ticks', price, 'updated_ms', text(now))
  return table.concat({ net, cash, version, price, text(now) }, ' ')
end
