-- Snippet: a committed position in memory, and what a fill does to it.

-- parse_fill(fill_id, line) -> {id, symbol, seq, signed, price}; a record that is not a fill has
-- no seq, and no symbol if not even that can be read. `signed` is the maker's change in lots.
local function parse_fill(fill_id, line)
  local symbol, seq = string.match(fill_id, '^([A-Z0-9._-]+)-(%d+)$')
  local side, lots, price = string.match(line, '^(%a+) (%d+) (%d+) %S+ %S+ %S+ %d+$')
  local fill = { id = fill_id, symbol = symbol }
  if symbol and (side == 'buy' or side == 'sell') and whole(lots) and whole(price) then
    fill.seq = whole(seq)
    fill.signed = side == 'sell' and tonumber(lots) or -tonumber(lots)
    fill.price = tonumber(price)
  end
  return fill
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
-- may exceed 2^53
local function share(cost, part, whole_lots)
  local each = math.floor(cost / whole_lots)
  return each * part + math.floor((cost - each * whole_lots) * part / whole_lots)
end

-- apply_fill(position, fill) -> nil when applied, else why not, the position unchanged.
-- The cost of the open lots shrinks in proportion when a fill closes some (average cost).
local function apply_fill(position, fill)
  if not fill.seq then
    return 'not a fill record'
  elseif fill.seq ~= position.version + 1 then
    return 'sequence: expected ' .. text(position.version + 1) .. ' got ' .. text(fill.seq)
  end
  local net = position.net + fill.signed
  local traded = fill.signed * fill.price
  local cash, cost = position.cash - traded, net * fill.price
  if position.net * fill.signed >= 0 then
    cost = position.cost + traded
  elseif net * position.net > 0 then
    local open = share(math.abs(position.cost), math.abs(net), math.abs(position.net))
    cost = net > 0 and open or -open
  end
  if math.max(math.abs(net), math.abs(traded), math.abs(cash), math.abs(cost)) > MAX_INT then
    return 'overflow: a number would exceed 2^53 - 1'
  end
  position.net, position.cash, position.cost = net, cash, cost
  position.version, position.last_id, position.last_price = fill.seq, fill.id, fill.price
  position.changed = true
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
