-- Include: quotes whose expiry has passed, and the end of a quote.

-- INCLUDE base
-- INCLUDE exposure

-- The number of expired quotes that one script ends at most. The others still count as reserved.
local MAX_DUE = 256

-- due_quotes(expiry_key, now) -> the symbols whose quotes have expired, at most MAX_DUE
local function due_quotes(expiry_key, now)
  return redis.call('ZRANGEBYSCORE', expiry_key, '-inf', text(now), 'LIMIT', 0, MAX_DUE)
end

-- due_units(reservation_prefix, due) -> {bid, ask}: the units reserved for the due symbols, and
-- these symbols as a set
local function due_units(reservation_prefix, due)
  local units, ended = { bid = 0, ask = 0 }, {}
  for _, symbol in ipairs(due) do
    local reserved = load_reservation(reservation_prefix .. symbol)
    units.bid = units.bid + reserved.bid
    units.ask = units.ask + reserved.ask
    ended[symbol] = true
  end
  return units, ended
end

-- end_quote(keys, symbol, event, now, keep, cause) -> quote_id. Removes the symbol's quote, releases
-- its exposure, and announces the end with the values of the placement from the quotes stream.
-- `keys` has exposure, expiry, quotes, quote and reservation. `event` is expired, or withdrawn with its
-- cause: halted (the symbol is) or stopped (the makers have).
local function end_quote(keys, symbol, event, now, keep, cause)
  local reserved = load_reservation(keys.reservation .. symbol)
  local quote_id, event_id = reserved.quote_id or '-', reserved.event_id
  local placement = redis.call('XRANGE', keys.quotes, event_id, event_id)[1]
  local fields = placement and placement[2]
    or { 'event', event, 'symbol', symbol, 'quote_id', quote_id, 'ts_ms', '-' }
  for index = 1, #fields, 2 do
    if fields[index] == 'event' then
      fields[index + 1] = event
    elseif fields[index] == 'ts_ms' then
      fields[index + 1] = text(now)
    end
  end
  if cause then
    fields[#fields + 1] = 'cause'
    fields[#fields + 1] = cause
  end
  redis.call('DEL', keys.quote .. symbol)
  redis.call('ZREM', keys.expiry, symbol)
  release(keys, symbol, reserved, event == 'expired' and 'expired' or 'released')
  redis.call('XADD', keys.quotes, 'MAXLEN', '~', keep, '*', unpack(fields))
  return quote_id
end

-- end_due_quotes(keys, due, now, keep) -> list of quote_id. Ends the quotes of the due symbols.
local function end_due_quotes(keys, due, now, keep)
  local ended = {}
  for index, symbol in ipairs(due) do
    ended[index] = end_quote(keys, symbol, 'expired', now, keep)
  end
  return ended
end
