#!lua flags=no-writes
-- Read what a maker needs to decide whether to quote: its symbols, and whom exposure can serve.
--
-- KEYS   exposure expiry waiting:bid waiting:ask positions symbol:* position:* quote:* reservation:* control config terms:* lease
-- ARGV   1 cursor: the id of a position update, or - for all symbols  2 max_updates: integer > 0
--        3 ... symbols, at most 1,000. With a cursor only those are surveyed that updates after it
--        name, up to max_updates (an entry is never split); if no symbol is given, all that they name
-- REPLY  {now_ms, {row, ...}, {symbol, ...}, cursor, more(0/1), config_version,
--        history: the name of the server's history}: a row is {symbol, fill_seq,
--        quote_version, halted(0/1), position_version, net_lots, last_price_ticks, waiting(0/1),
--        quote's position_version or -1, quote's expires_ms or 0, cash_ticks, cost_ticks,
--        twice_spread_ticks, fair_ticks, fair_rest, trades, or nothing for a missing one}; the symbols are the waiting ones,
--        asked for or not, for which at least one more lot is free now, in the order of the queues;
--        each has a row too; cursor is the id of the newest update that the rows take into account
-- ERRORS none. An unknown symbol has no row
-- EMITS  nothing

-- INCLUDE base
-- INCLUDE streams
-- INCLUDE exposure
-- INCLUDE expiry
-- INCLUDE waiting
-- INCLUDE mode
-- INCLUDE history
local exposure_key, expiry_key, waiting_bid, waiting_ask = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local positions_key, symbol_prefix, position_prefix = KEYS[5], KEYS[6], KEYS[7]
local quote_prefix, reservation_prefix = KEYS[8], KEYS[9]

local now = now_ms()
local config_version, limit_units, partition, replicas = unpack(redis.call('HMGET', KEYS[11],
  'config_version', 'limit_units', 'partition', 'replicas'))
local exposure = load_exposure(exposure_key, limit_units, partition and KEYS[13])
  or { limit = 0, bid = 0, ask = 0 }
local due_total, ended = due_units(reservation_prefix, due_quotes(expiry_key, now))

local servable, listed = {}, {}
-- list_servable(symbol, free, claim, lot_units) lists a symbol when a lot that it waits for is free.
-- It returns true, to stop the walk, when 64 symbols are listed.
local function list_servable(symbol, free, claim, lot_units)
  if not listed[symbol] and lot_units > 0 and math.min(free, claim) >= lot_units then
    listed[symbol] = true
    servable[#servable + 1] = symbol
  end
  return #servable >= 64
end
walk_queue(waiting_bid, reservation_prefix, 'bid', free_units(exposure, 'bid', due_total.bid), ended,
  list_servable)
walk_queue(waiting_ask, reservation_prefix, 'ask', free_units(exposure, 'ask', due_total.ask), ended,
  list_servable)

-- updated_symbols(entries, wanted) -> the symbols that the updates name; if any is wanted, only these
local function updated_symbols(entries, wanted)
  local is_wanted, found = {}, {}
  for _, symbol in ipairs(#entries > 0 and wanted or {}) do
    is_wanted[symbol] = true
  end
  for _, entry in ipairs(entries) do
    for index = 1, #entry[2], 2 do
      local symbol = entry[2][index]
      if #wanted == 0 or is_wanted[symbol] then
        found[#found + 1] = symbol
      end
    end
  end
  return found
end

local rows, done, mode_of_all = {}, {}, redis.call('HGET', KEYS[10], 'mode')
local function add_row(symbol)
  if done[symbol] then
    return
  end
  done[symbol] = true
  local fill_seq, quote_version = unpack(redis.call('HMGET', symbol_prefix .. symbol, 'fill_seq',
    'quote_version'))
  if not fill_seq then
    return
  end
  local position_version, net_lots, last_ticks, halted, frozen, flattened_ms, cash_ticks, cost_ticks,
    twice_spread, fair_ticks, fair_rest, trades = unpack(redis.call('HMGET', position_prefix .. symbol,
    'position_version', 'net_lots', 'last_price_ticks', 'halted', 'frozen_until_ms', 'flattened_ms',
    'cash_ticks', 'cost_ticks', 'twice_spread_ticks', 'fair_ticks', 'fair_rest', 'trades'))
  local mode = own_mode(redis.call('HGET', KEYS[12] .. symbol, 'mode'), flattened_ms)
  local quoted_version, expires_ms = unpack(redis.call('HMGET', quote_prefix .. symbol,
    'position_version', 'expires_ms'))
  local live = expires_ms and tonumber(expires_ms) > now
  local waits = redis.call('ZSCORE', waiting_bid, symbol) or redis.call('ZSCORE', waiting_ask, symbol)
  local stands_still = no_quote_reason(halted, mode_of_all, mode, frozen, now)
  rows[#rows + 1] = { symbol, fill_seq, quote_version, stands_still and 1 or 0, position_version, net_lots,
    last_ticks, waits and 1 or 0, live and quoted_version or '-1', live and expires_ms or '0', cash_ticks,
    cost_ticks, twice_spread, fair_ticks, fair_rest, trades }
end
local cursor, asked, more = ARGV[1], { unpack(ARGV, 3) }, false
if cursor == '-' then
  local newest = redis.call('XREVRANGE', positions_key, '+', '-', 'COUNT', 1)[1]
  cursor = newest and newest[1] or '0-0'
else
  local entries, count
  entries, count, more = next_entries(positions_key, cursor, tonumber(ARGV[2]))
  cursor = count > 0 and entries[#entries][1] or cursor
  asked = updated_symbols(entries, asked)
end
for _, symbol in ipairs(asked) do
  add_row(symbol)
end
for _, symbol in ipairs(servable) do
  add_row(symbol)
end
return { now, rows, servable, cursor, more and 1 or 0, config_version or '1',
  history_of(replicas) }
