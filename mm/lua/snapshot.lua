#!lua flags=no-writes
-- Read everything that a reader needs, at one instant.
--
-- KEYS   config exposure cursors expiry waiting:bid waiting:ask processes orders fills positions quotes deadletter symbol:* position:* quote:* reservation:* process:* lifecycle server control operations clients inbox:* terms:* lease archive archived
-- ARGV   1 recent: how many of the newest fill entries and quote events to include  2 max_symbols:
--        symbols to include, 0 for all. Of more symbols, those that are halted or have another mode come
--        first, then those with an active quote, then the others, and beside them those of the fills
-- REPLY  flat {name, value, ...}: now_ms; config, exposure, cursors, server, control, clients, lease, archive,
--        archived as flat hashes;
--        expiry, waiting_bid, waiting_ask, processes as {member, score, ...}; symbols {{name, symbol hash,
--        position hash, quote hash, reservation hash, terms hash}, ...}; process {{name, hash}, ...};
--        streams {{name, length, first id, last id}, ...}; pending {{consumer, ms of the oldest entry
--        after the cursor or 0}, ...}; inboxes {entries in them, ms of the oldest or 0}; fills, events:
--        newest first
-- ERRORS none
-- EMITS  nothing

-- INCLUDE base
-- INCLUDE shown
local config_key, exposure_key, cursors_key, expiry_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local waiting_bid, waiting_ask, processes_key = KEYS[5], KEYS[6], KEYS[7]
local fills_key, quotes_key = KEYS[9], KEYS[11]
local streams = { { name = 'orders', key = KEYS[8] }, { name = 'fills', key = fills_key },
  { name = 'positions', key = KEYS[10] }, { name = 'quotes', key = quotes_key },
  { name = 'deadletter', key = KEYS[12] }, { name = 'lifecycle', key = KEYS[18] },
  { name = 'operations', key = KEYS[21] } }
local consumers = { { name = 'exchange', stream = KEYS[8] }, { name = 'state', stream = fills_key } }
local symbol_prefix, position_prefix, quote_prefix = KEYS[13], KEYS[14], KEYS[15]
local reservation_prefix, process_prefix, server_key, terms_prefix = KEYS[16], KEYS[17], KEYS[19], KEYS[24]
local recent, max_symbols = tonumber(ARGV[1]), tonumber(ARGV[2])

local now = now_ms()
local function hash(key)
  return redis.call('HGETALL', key)
end
local function ranked(key)
  return redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
end
local function newest(key)
  return redis.call('XREVRANGE', key, '+', '-', 'COUNT', recent)
end

local fills = recent > 0 and newest(fills_key) or {}

local names, symbols = {}, {}
for symbol in string.gmatch(redis.call('HGET', config_key, 'symbols') or '', '%S+') do
  names[#names + 1] = symbol
end
local wanted = max_symbols > 0 and #names > max_symbols
  and shown_symbols({ expiry = expiry_key, terms = terms_prefix, position = position_prefix }, names,
    max_symbols, fills, recent, now)
for _, symbol in ipairs(names) do
  if not wanted or wanted[symbol] then
    symbols[#symbols + 1] = { symbol, hash(symbol_prefix .. symbol),
      hash(position_prefix .. symbol), hash(quote_prefix .. symbol),
      hash(reservation_prefix .. symbol), hash(terms_prefix .. symbol) }
  end
end
local lengths = {}
for _, stream in ipairs(streams) do
  local first = redis.call('XRANGE', stream.key, '-', '+', 'COUNT', 1)[1]
  local last = redis.call('XREVRANGE', stream.key, '+', '-', 'COUNT', 1)[1]
  lengths[#lengths + 1] = { stream.name, redis.call('XLEN', stream.key),
    first and first[1] or '0-0', last and last[1] or '0-0' }
end
local pending = {}
for _, consumer in ipairs(consumers) do
  local cursor = redis.call('HGET', cursors_key, consumer.name) or '0-0'
  local oldest = redis.call('XRANGE', consumer.stream, '(' .. cursor, '+', 'COUNT', 1)[1]
  local since_ms = oldest and string.match(oldest[1], '^%d+') or '0'
  pending[#pending + 1] = { consumer.name, since_ms }
end
local clients, in_inboxes, oldest_ms = hash(KEYS[22]), 0, nil
for index = 1, #clients, 2 do
  local inbox = KEYS[23] .. clients[index]
  local first = redis.call('XRANGE', inbox, '-', '+', 'COUNT', 1)[1]
  if first then
    local since_ms = tonumber(string.match(first[1], '^%d+'))
    oldest_ms = math.min(oldest_ms or since_ms, since_ms)
    in_inboxes = in_inboxes + redis.call('XLEN', inbox)
  end
end
local processes = {}
for _, name in ipairs(redis.call('ZRANGE', processes_key, 0, -1)) do
  processes[#processes + 1] = { name, hash(process_prefix .. name) }
end
return { 'now_ms', now, 'config', hash(config_key), 'exposure', hash(exposure_key),
  'cursors', hash(cursors_key), 'server', hash(server_key), 'control', hash(KEYS[20]), 'lease', hash(KEYS[25]),
  'archive', hash(KEYS[26]), 'archived', hash(KEYS[27]),
  'expiry', ranked(expiry_key),
  'waiting_bid', ranked(waiting_bid), 'waiting_ask', ranked(waiting_ask),
  'processes', ranked(processes_key), 'symbols', symbols, 'process', processes,
  'streams', lengths, 'pending', pending, 'fills', fills,
  'clients', clients, 'inboxes', { in_inboxes, oldest_ms or 0 },
  'events', recent > 0 and newest(quotes_key) or {} }
