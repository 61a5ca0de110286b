-- Include: which symbols a bounded snapshot shows.

-- INCLUDE base

-- shown_symbols(keys, names, max_symbols, fills, recent, now) -> the set of at most max_symbols of these
-- symbols, and of those of the `recent` newest records of `fills`, which are entries of the ledger, newest
-- first. `keys` has expiry and the
-- prefixes terms and position.
local function shown_symbols(keys, names, max_symbols, fills, recent, now)
  local count, set, known = 0, {}, {}
  local function include(symbol)
    if known[symbol] and not set[symbol] and count < max_symbols then
      set[symbol], count = true, count + 1
    end
  end
  for _, symbol in ipairs(names) do
    known[symbol] = true
  end
  for _, symbol in ipairs(names) do
    local halted = redis.call('HGET', keys.position .. symbol, 'halted')
    local mode = redis.call('HGET', keys.terms .. symbol, 'mode')
    if halted or mode and mode ~= 'active' then
      include(symbol)
    end
  end
  local active = {}
  for _, symbol in ipairs(redis.call('ZRANGEBYSCORE', keys.expiry, '(' .. text(now), '+inf')) do
    active[symbol] = true
  end
  for _, symbol in ipairs(names) do
    if active[symbol] then
      include(symbol)
    end
  end
  for _, symbol in ipairs(names) do
    include(symbol)
  end
  local listed = 0
  for _, entry in ipairs(fills) do
    local records = entry[2]
    for place = #records - 1, 1, -2 do
      local symbol = string.match(records[place], '^(.*)%-')
      if listed < recent and known[symbol] then
        set[symbol], listed = true, listed + 1
      end
    end
  end
  return set
end
