-- Include: the keys of a symbol that nobody has quoted or traded yet.

-- store_pairs(key, list) sets the fields of {field, value, ...}
local function store_pairs(key, list)
  if #list > 0 then
    redis.call('HSET', key, unpack(list))
  end
end

-- pairs_at(words, first) -> {name, value, ...} from their count at words[first], and the index after them
local function pairs_at(words, first)
  local list, last = {}, first + 2 * tonumber(words[first])
  for index = first + 1, last do
    list[#list + 1] = words[index]
  end
  return list, last + 1
end

-- new_symbol(symbol_key, position_key, reservation_key) writes the symbol's numbers and its position. Its
-- terms are written apart.
local function new_symbol(symbol_key, position_key, reservation_key)
  redis.call('HSET', symbol_key, 'fill_seq', '0', 'quote_version', '0')
  redis.call('HSET', position_key, 'net_lots', '0', 'cash_ticks', '0', 'cost_ticks', '0',
    'position_version', '0', 'last_fill_id', '-', 'last_price_ticks', '0', 'updated_ms', '0',
    'twice_spread_ticks', '0', 'fair_ticks', '0', 'fair_rest', '0', 'trades', '')
  redis.call('HSET', reservation_key, 'quote_id', '-', 'bid_units', '0', 'ask_units', '0',
    'expires_ms', '0', 'state', 'released')
end

-- Where the fields of a symbol's hash of schema 1 and 2 belong; all others are terms.
local NUMBERS = { fill_seq = true, quote_version = true, outcome = true }
local OF_POSITION = { halted = true, frozen_until_ms = true, frozen_why = true }

-- part_symbol(symbol_key, position_key, terms_key) moves the fields of such a hash to where they belong.
local function part_symbol(symbol_key, position_key, terms_key)
  local fields = redis.call('HGETALL', symbol_key)
  for index = 1, #fields, 2 do
    local name, value = fields[index], fields[index + 1]
    if not NUMBERS[name] then
      redis.call('HSET', OF_POSITION[name] and position_key or terms_key, name, value)
      redis.call('HDEL', symbol_key, name)
    end
  end
end
