-- Include: reading whole entries of a stream after a cursor, and appending records to a stream.

-- next_entries(stream, cursor, max_records) -> list of {id, flat fields}, number of records, more.
-- Takes whole entries while they hold at most `max_records` records together, but always the first.
-- `more` says that the stream may hold further entries. It reads two entries first, then more at a
-- time: an entry may hold one record or a thousand, and reading unused entries costs as much.
local function next_entries(stream, cursor, max_records)
  local entries, count, records, last_id, chunk_size = {}, 0, 0, cursor, 2
  while true do
    local chunk = redis.call('XRANGE', stream, '(' .. last_id, '+', 'COUNT', chunk_size)
    for index = 1, #chunk do
      local size = #chunk[index][2] / 2
      if records > 0 and records + size > max_records then
        return entries, records, true
      end
      count = count + 1
      entries[count] = chunk[index]
      records = records + size
    end
    if #chunk < chunk_size then
      return entries, records, false
    end
    last_id = entries[count][1]
    local needed = math.ceil((max_records - records) * count / records)
    chunk_size = math.max(1, math.min(4 * chunk_size, 200, needed))
  end
end

-- append(stream, records, keep) adds the flat list of names and values, at most 1,000 records an
-- entry, since unpack() is limited. `keep` is about how many entries the stream keeps, nil for all.
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
