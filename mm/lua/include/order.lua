-- Include: reading an order's line, and naming the fault of a malformed one.

-- INCLUDE base
-- INCLUDE count

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

-- faulty_order(order_id, line) -> fault, client, valid_ids of a malformed order. `client` is nil when
-- there is nobody to answer; `valid_ids` says that the client's and the order's id are valid.
local function faulty_order(order_id, line)
  local client, symbol, side, lots, limit =
    match(line, '^(%S+) (%S+) (%S+) (%S+) (%S+)$')
  -- Without five words the first one need not be a client: it can be any word of a mistaken command.
  if not client then
    return 'malformed'
  elseif not is_id(client) then
    return 'bad_client_id'
  elseif not is_id(order_id) then
    return 'bad_order_id', client
  elseif #symbol > 16 or not find(symbol, '^[A-Z0-9._-]+$') then
    return 'bad_symbol', client, true
  elseif side ~= 'buy' and side ~= 'sell' then
    return 'bad_side', client, true
  end
  return number_fault(lots, 'quantity') or number_fault(limit, 'price'), client, true
end

-- read_order(order_id, line) -> fault (nil for an order), client, valid_ids, symbol, side, lots, limit
local function read_order(order_id, line)
  local client, symbol, side, lots_word, limit_word = match(line, ORDER_PATTERN)
  if client and find(order_id, ID_PATTERN) then
    local lots, limit = count_of(lots_word), count_of(limit_word)
    if lots and limit and (side == 'buy' or side == 'sell')
      and #order_id <= 64 and #client <= 64 and #symbol <= 16 then
      return nil, client, true, symbol, side, lots, limit
    end
  end
  return faulty_order(order_id, line)
end

-- order_keys(entries) -> for each record in turn "client_id/order_id", under which the outcome of its
-- order is remembered. Some of these ids may be invalid.
local function order_keys(entries)
  local keys, count = {}, 0
  for entry_index = 1, #entries do
    local fields = entries[entry_index][2]
    for index = 1, #fields, 2 do
      count = count + 1
      keys[count] = match(fields[index + 1], '%S*') .. '/' .. fields[index]
    end
  end
  return keys
end
