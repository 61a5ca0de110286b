-- Snippet: reading whole entries after a cursor, and appending records.

-- next_entries(stream, cursor, most) -> list of {id, flat fields}, number of records, more.
-- Takes entries while they hold at most `most` records together, the first one always; `more`
-- says that the stream may hold further entries. Reads two first, then more and more: entries may
-- be of one record or of a thousand, and what is read in vain costs as much as what is used.
local function next_entries(stream, cursor, most)
  local entries, count, records, last, ask = {}, 0, 0, cursor, 2
  while true do
    local chunk = redis.call('XRANGE', stream, '(' .. last, '+', 'COUNT', ask)
    for i = 1, #chunk do
      local size = #chunk[i][2] / 2
      if records > 0 and records + size > most then
        return entries, records, true
      end
      count = count + 1
      entries[count] = chunk[i]
      records = records + size
    end
    if #chunk < ask then
      return entries, records, false
    end
    last = entries[count][1]
    ask = math.max(1, math.min(4 * ask, 200, math.ceil((most - records) * count / records)))
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
