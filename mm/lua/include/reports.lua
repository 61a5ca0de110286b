-- Snippet: reports gathered by client, since a client's reports are a stream.

-- add_report(reports, client, id, line, apart) adds a record to what the client gets, in the order of
-- its orders. One that is `apart` has an entry to itself: the entry before may name its id already.
local function add_report(reports, client, id, line, apart)
  local entries = reports[client]
  if not entries then
    entries = { open = {}, count = 0 }
    reports[client] = entries
  end
  if apart then
    entries[#entries + 1] = entries.open
    entries[#entries + 1] = { id, line }
    entries.open, entries.count = {}, 0
  else
    local open, count = entries.open, entries.count
    open[count + 1], open[count + 2] = id, line
    entries.count = count + 2
  end
end

-- send_reports(prefix, reports, keep, idle_ms) appends them: a name stands once in an entry.
local function send_reports(prefix, reports, keep, idle_ms)
  for client, entries in pairs(reports) do
    local stream = prefix .. client
    for _, records in ipairs(entries) do
      append(stream, records, keep)
    end
    append(stream, entries.open, keep)
    redis.call('PEXPIRE', stream, idle_ms)
  end
end
