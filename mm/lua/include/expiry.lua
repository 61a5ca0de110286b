-- Snippet: quotes past their deadline, and the end of a quote.

-- due_quotes(expiry_key, reservation_prefix, now) -> list of {symbol, bid, ask}, their symbols
-- as a set, and the sums of their units. At most 256 a call: what is left counts as reserved.
local function due_quotes(expiry_key, reservation_prefix, now)
  local due, symbols, bid, ask = {}, {}, 0, 0
  local past = redis.call('ZRANGEBYSCORE', expiry_key, '-inf', text(now), 'LIMIT', 0, 256)
  for _, symbol in ipairs(past) do
    local held = redis.call('HMGET', reservation_prefix .. symbol, 'bid_units', 'ask_units')
    local one = { symbol = symbol, bid = tonumber(held[1]) or 0, ask = tonumber(held[2]) or 0 }
    due[#due + 1] = one
    symbols[symbol] = true
    bid = bid + one.bid
    ask = ask + one.ask
  end
  return due, symbols, bid, ask
end

-- end_quote(keys, symbol, event, now, keep) removes the symbol's quote, empties its reservation
-- and announces it with the values of its placement, which the quotes stream holds. `keys` has
-- expiry, quotes, quote and reservation; `event` is expired or withdrawn. The caller lowers the
-- exposure totals by what was reserved.
local function end_quote(keys, symbol, event, now, keep)
  local reservation = keys.reservation .. symbol
  local held = redis.call('HMGET', reservation, 'quote_id', 'event_id')
  local quote_id, event_id = held[1] or '-', held[2] or '0-1'
  local placed = redis.call('XRANGE', keys.quotes, event_id, event_id)[1]
  local fields = placed and placed[2]
    or { 'event', event, 'symbol', symbol, 'quote_id', quote_id, 'ts_ms', '-' }
  for i = 1, #fields, 2 do
    if fields[i] == 'event' then
      fields[i + 1] = event
    elseif fields[i] == 'ts_ms' then
      fields[i + 1] = text(now)
    end
  end
  redis.call('DEL', keys.quote .. symbol)
  redis.call('ZREM', keys.expiry, symbol)
  local state = event == 'expired' and 'expired' or 'released'
  redis.call('HSET', reservation, 'bid_units', '0', 'ask_units', '0', 'state', state)
  redis.call('XADD', keys.quotes, 'MAXLEN', '~', keep, '*', unpack(fields))
  return quote_id
end
