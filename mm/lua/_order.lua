-- Snippet: the order line, its faults, and reports by client. Needs whole() and MAX_INT.
local ID_PATTERN = '^[A-Za-z0-9._-]+$'

-- is_id(word) -> whether it is 1 to 64 of A-Z a-z 0-9 . _ -
local function is_id(word)
  return #word <= 64 and string.find(word, ID_PATTERN) ~= nil
end

-- number_fault(word, name) -> why the word is not an integer from 1 to 2^53 - 1, or nil
local function number_fault(word, name)
  local number = whole(word)
  if number and number > 0 then
    return nil
  elseif not string.find(word, '^-?%d+$') then
    return name .. '_not_integer'
  elseif number == 0 or string.find(word, '^-') or not string.find(word, '[1-9]') then
    return name .. '_not_positive'
  end
  return name .. '_too_large'
end

-- parse_order(name, line) -> {id, line, client, symbol, side, lots, limit, key, fault}; what could
-- not be read is nil, `key` is there when client and id are both well formed
local function parse_order(name, line)
  local client, symbol, side, lots, limit =
    string.match(line, '^(%S+) (%S+) (%S+) (%S+) (%S+)$')
  local sender = client or string.match(line, '^(%S+)')
  local order = { id = name, line = line }
  if not sender or not is_id(sender) then
    order.fault = sender and 'bad_client_id' or 'malformed'
    return order
  end
  order.client = sender
  if not is_id(name) then
    order.fault = 'bad_order_id'
    return order
  end
  order.key = sender .. '/' .. name
  if not client then
    order.fault = 'malformed'
  elseif #symbol > 16 or not string.find(symbol, '^[A-Z0-9._-]+$') then
    order.fault = 'bad_symbol'
  elseif side ~= 'buy' and side ~= 'sell' then
    order.fault = 'bad_side'
  else
    order.fault = number_fault(lots, 'quantity') or number_fault(limit, 'price')
    order.symbol, order.side = symbol, side
    order.lots, order.limit = tonumber(lots), tonumber(limit)
  end
  return order
end

-- parse_orders(entries) -> the orders of all entries in turn, and the keys of those that have one
local function parse_orders(entries)
  local orders, keys = {}, {}
  for _, entry in ipairs(entries) do
    local fields = entry[2]
    for i = 1, #fields, 2 do
      local order = parse_order(fields[i], fields[i + 1])
      order.entry = entry[1]
      orders[#orders + 1] = order
      keys[#keys + 1] = order.key
    end
  end
  return orders, keys
end
