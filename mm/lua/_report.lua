-- Snippet: reports gathered by client.

-- add_report(reports, client, id, line) adds a record to the client's list of entries, where a
-- name stands once an entry: a second record of it begins another.
local function add_report(reports, client, id, line)
  local chunks = reports[client]
  if not chunks then
    chunks = { { records = {}, names = {} } }
    reports[client] = chunks
  end
  local chunk = chunks[#chunks]
  if chunk.names[id] then
    chunk = { records = {}, names = {} }
    chunks[#chunks + 1] = chunk
  end
  chunk.names[id] = true
  chunk.records[#chunk.records + 1] = id
  chunk.records[#chunk.records + 1] = line
end
