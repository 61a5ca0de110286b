-- Snippet: the order line, and what is wrong with one that is no order. Needs whole() and count_of().
local match, find = string.match, string.find
local ID_PATTERN = '^[a-z0-9A-Z._-]+$'
local ORDER_PATTERN = '^([a-z0-9A-Z._-]+) ([A-Z0-9._-]+) (%a+) (%d+) (%d+)$'

-- is_id(word) -> whether it is 1 to 64 of A-Z a-z 0-9 . _ -
local function is_id(word)
  return #word <= 64 and find(word, ID_PATTERN) ~= nil
end

-- number_fault(word, name) -> why the word is not an integer from 1 to 2^53 - 1, or nil
local function number_fault(word, name)
  local number = whole(word)
  if number and number > 0 then
    return nil
  elseif not find(word, '^-?%d+$') then
    return name .. '_not_integer'
  elseif find(word, '^-') or not find(word, '[1-9]') then
    return name .. '_not_positive'
  end
  return name .. '_too_large'
end

-- faulty_order(name, line) -> fault, client, named: what is wrong with a line that is no order, who
-- sent it if that can be known, and whether that sender and the name are ids
local function faulty_order(name, line)
  local client, symbol, side, lots, limit =
    match(line, '^(%S+) (%S+) (%S+) (%S+) (%S+)$')
  local sender = client or match(line, '^(%S+)')
  if not sender or not is_id(sender) then
    return sender and 'bad_client_id' or 'malformed'
  elseif not is_id(name) then
    return 'bad_order_id', sender
  elseif not client then
    return 'malformed', sender, true
  elseif #symbol > 16 or not find(symbol, '^[A-Z0-9._-]+$') then
    return 'bad_symbol', sender, true
  elseif side ~= 'buy' and side ~= 'sell' then
    return 'bad_side', sender, true
  end
  return number_fault(lots, 'quantity') or number_fault(limit, 'price'), sender, true
end

-- read_order(name, line) -> fault (nil of an order), client, named, symbol, side, lots, limit
local function read_order(name, line)
  local client, symbol, side, lots, limit = match(line, ORDER_PATTERN)
  if client and find(name, ID_PATTERN) then
    local quantity, price = count_of(lots), count_of(limit)
    if quantity and price and (side == 'buy' or side == 'sell')
      and #name <= 64 and #client <= 64 and #symbol <= 16 then
      return nil, client, true, symbol, side, quantity, price
    end
  end
  return faulty_order(name, line)
end

-- order_keys(entries) -> of each record in turn, the key under which the outcome of its order would be
-- remembered: its line's first word and its name. Not all of them are ids.
local function order_keys(entries)
  local keys, count = {}, 0
  for n = 1, #entries do
    local fields = entries[n][2]
    for i = 1, #fields, 2 do
      count = count + 1
      keys[count] = match(fields[i + 1], '%S*') .. '/' .. fields[i]
    end
  end
  return keys
end
