-- Snippet: reading whole entries after a cursor, and appending records.

-- next_entries(stream, cursor, most) -> list of {id, flat fields}, number of records, more.
-- Takes entries while they hold at most `most` records together, the first one always; `more`
-- says that the stream may hold further entries.
local function next_entries(stream, cursor, most)
  local entries, records, last = {}, 0, cursor
  while true do
    local chunk = redis.call('XRANGE', stream, '(' .. last, '+', 'COUNT', 100)
    for _, entry in ipairs(chunk) do
      local size = #entry[2] / 2
      if records > 0 and records + size > most then
        return entries, records, true
      end
      entries[#entries + 1] = entry
      records = records + size
      last = entry[1]
    end
    if #chunk < 100 then
      return entries, records, false
    end
  end
end

-- append(stream, records, keep) adds the flat list of names and values, at most 1,000 records an
-- entry since unpack() is limited; `keep` is the number of entries to keep (about), nil for all.
local function append(stream, records, keep)
  for from = 1, #records, 2000 do
    local to = math.min(from + 1999, #records)
    if keep then
      redis.call('XADD', stream, 'MAXLEN', '~', keep, '*', unpack(records, from, to))
    else
      redis.call('XADD', stream, '*', unpack(records, from, to))
    end
  end
end
