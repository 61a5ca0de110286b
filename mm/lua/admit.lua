#!lua
-- Admit clients: from now on the exchange reads the inbox of each.
--
-- A client that is admitted already stays what it is.
--
-- KEYS   clients operations
-- READS  config
-- ARGV   1 system_id: the system that the caller means  2 who  3 role  4 why: words for people
--        5 ... client ids
-- REPLY  {client_id, ...} of those that were not admitted yet
-- ERRORS FOREIGN_SYSTEM (the system_id that the keys hold, or nothing), BAD_CLIENT (client_id)
-- EMITS  operations (admit, once for all newly admitted clients)

-- INCLUDE base
-- INCLUDE order
-- INCLUDE operations
local READS, ARGV = take_reads(1)
local clients_key, operations_key = KEYS[1], KEYS[2]
local now = now_ms()
local system_id = redis.call('HGET', READS[1], 'system_id')
if system_id ~= ARGV[1] then
  return redis.error_reply('FOREIGN_SYSTEM ' .. (system_id or 'nothing'))
end
for index = 5, #ARGV do
  if not is_id(ARGV[index]) then
    return redis.error_reply('BAD_CLIENT ' .. ARGV[index])
  end
end

-- Writes start here.
local admitted = {}
for index = 5, #ARGV do
  local client = ARGV[index]
  if redis.call('HSETNX', clients_key, client, '0 -') == 1 then
    admitted[#admitted + 1] = client
  end
end
if #admitted > 0 then
  tell_operation(operations_key, { op = 'admit', symbol = '*', who = ARGV[2], role = ARGV[3],
    why = ARGV[4], before = '-', after = table.concat(admitted, ' ') }, now)
end
return admitted
