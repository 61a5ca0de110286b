#!lua flags=allow-oom
-- Record how far all is archived, and remove its oldest fills, in one atomic step.
--
-- A fill is removed only when the position has it, and when the archive has it by what is recorded here.
-- The newest entry always stays. What is recorded never goes back: an archive that is older than the
-- ledger, or another one, is refused.
--
-- KEYS   archive archived fills
-- READS  config position:*
-- ARGV   1 system_id: the system whose fills the archive has  2 archive_id  3 file: where the archive is
--        4 trim_to: the last entry that may be removed, or 0-0
--        5 max_fills: integer > 0, fills to remove at most; an entry is never split; then for each symbol, and
--        for each other stream that is archived: its name, the number of its newest archived fill or entry,
--        and the link of that in the chain
-- REPLY  {trimmed_to, fills removed, more(0/1)}
-- ERRORS FOREIGN_SYSTEM (the system_id that the keys hold, or nothing), OTHER_ARCHIVE (the id of the one
--        recorded), OLD_ARCHIVE (symbol, number recorded, number given), OTHER_FILLS (symbol, number: its
--        link differs), NOT_COMMITTED (symbol, number, position version), NOT_ARCHIVED (the fill that
--        trim_to would remove), DAMAGED (what a key says of the archive is no id, or no number and link)
-- EMITS  nothing

-- INCLUDE base
-- INCLUDE damage
-- INCLUDE streams
local READS, ARGV = take_reads(2)
local archive_key, archived_key, fills_key = KEYS[1], KEYS[2], KEYS[3]
local config_key, position_prefix = READS[1], READS[2]
local archive_id, file, trim_to, max_fills = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])

-- is_after(a, b) -> whether the id of an entry is after another one
local function is_after(a, b)
  local a_ms, a_seq = string.match(a, '(%d+)-(%d+)')
  local b_ms, b_seq = string.match(b, '(%d+)-(%d+)')
  a_ms, b_ms = tonumber(a_ms), tonumber(b_ms)
  return a_ms > b_ms or a_ms == b_ms and tonumber(a_seq) > tonumber(b_seq)
end

local system_id = redis.call('HGET', config_key, 'system_id')
if system_id ~= ARGV[1] then
  return redis.error_reply('FOREIGN_SYSTEM ' .. (system_id or 'nothing'))
end
local stored_id, trimmed_to = unpack(redis.call('HMGET', archive_key, 'id', 'trimmed_to'))
if stored_id and stored_id ~= archive_id then
  return redis.error_reply('OTHER_ARCHIVE ' .. stored_id)
end
trimmed_to = trimmed_to or '0-0'
if not string.find(trimmed_to, '^%d+-%d+$') then
  return damaged(archive_key)
end

local archived, versions, heads = {}, {}, {}
local function version_of(symbol)
  versions[symbol] = versions[symbol]
    or tonumber(redis.call('HGET', position_prefix .. symbol, 'position_version')) or 0
  return versions[symbol]
end
for index = 6, #ARGV, 3 do
  local symbol, number, link = ARGV[index], tonumber(ARGV[index + 1]), ARGV[index + 2]
  local stored = redis.call('HGET', archived_key, symbol)
  local stored_number, stored_link = string.match(stored or '0 -', '^(%d+) (%S+)$')
  if not stored_number then
    return damaged(archived_key)
  elseif number < tonumber(stored_number) then
    return redis.error_reply('OLD_ARCHIVE ' .. symbol .. ' ' .. stored_number .. ' ' .. text(number))
  elseif number == tonumber(stored_number) and link ~= stored_link then
    return redis.error_reply('OTHER_FILLS ' .. symbol .. ' ' .. stored_number)
  -- The name of a stream, other than that of a symbol, begins with a small letter.
  elseif not string.find(symbol, '^%l') and number > version_of(symbol) then
    return redis.error_reply('NOT_COMMITTED ' .. symbol .. ' ' .. text(number) .. ' ' .. text(version_of(symbol)))
  end
  archived[symbol] = number
  heads[#heads + 1], heads[#heads + 2] = symbol, text(number) .. ' ' .. link
end
-- archived_of(symbol) -> the number of its newest archived fill, 0 for none
local function archived_of(symbol)
  archived[symbol] = archived[symbol]
    or tonumber(string.match(redis.call('HGET', archived_key, symbol) or '', '^%d+')) or 0
  return archived[symbol]
end

local entries, _, more = {}, nil, false
if is_after(trim_to, trimmed_to) then
  entries, _, more = next_entries(fills_key, '0-0', max_fills)
end
local newest = #entries > 0 and redis.call('XREVRANGE', fills_key, '+', '-', 'COUNT', 1)[1][1]
local removed, last_removed = 0, nil
for _, entry in ipairs(entries) do
  if is_after(entry[1], trim_to) or entry[1] == newest then
    more = false
    break
  end
  for index = 1, #entry[2], 2 do
    local symbol, number = string.match(entry[2][index], '^([^%s%l]+)-(%d+)$')
    if not symbol or tonumber(number) > archived_of(symbol) then
      return redis.error_reply('NOT_ARCHIVED ' .. entry[2][index])
    end
    removed = removed + 1
  end
  last_removed = entry[1]
end

-- Writes start here.
redis.call('HSET', archive_key, 'id', archive_id, 'file', file, 'trimmed_to', last_removed or trimmed_to)
for from = 1, #heads, 2000 do
  redis.call('HSET', archived_key, unpack(heads, from, math.min(from + 1999, #heads)))
end
if last_removed then
  local ms, seq = string.match(last_removed, '(%d+)-(%d+)')
  redis.call('XTRIM', fills_key, 'MINID', '=', ms .. '-' .. text(tonumber(seq) + 1))
end
return { last_removed or trimmed_to, removed, more and 1 or 0 }
