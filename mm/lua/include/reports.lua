-- Include: execution reports, gathered by client. Each client has its own stream.

-- INCLUDE streams

-- add_report(reports, client, order_id, line, alone) adds a record to the client's reports, in the
-- order of its orders. A record that is `alone` gets its own entry, since an entry of records may
-- already have its order id, and no name may stand twice in an entry.
local function add_report(reports, client, order_id, line, alone)
  local entries = reports[client]
  if not entries then
    entries = { open = {}, length = 0 }
    reports[client] = entries
  end
  if alone then
    entries[#entries + 1] = entries.open
    entries[#entries + 1] = { order_id, line }
    entries.open, entries.length = {}, 0
  else
    local open, length = entries.open, entries.length
    open[length + 1], open[length + 2] = order_id, line
    entries.length = length + 2
  end
end

-- send_reports(reports_prefix, reports, keep, idle_ms) appends the reports to the clients' streams.
-- `keep` is about how many entries a stream keeps; a stream expires after `idle_ms` without a report.
local function send_reports(reports_prefix, reports, keep, idle_ms)
  for client, entries in pairs(reports) do
    local stream = reports_prefix .. client
    for _, records in ipairs(entries) do
      append(stream, records, keep)
    end
    append(stream, entries.open, keep)
    redis.call('PEXPIRE', stream, idle_ms)
  end
end
