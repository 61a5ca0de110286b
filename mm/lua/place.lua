#!lua
-- Place a quote in one atomic step: check the gate, end expired quotes, clamp, reserve and activate.
--
-- A proposal is granted in full, reduced to what fits, or omitted, which withdraws the old quote.
-- KEYS   exposure expiry quotes waiting:bid waiting:ask symbol:* quote:* reservation:*
-- READS  config position:* control terms:* lease
-- ARGV   1 symbol  2 maker_id  3 trigger  4 position_version  5 quote_version (of the quote to
--        replace)  6 bid_ticks  7 bid_lots  8 ask_ticks  9 ask_lots  10 config_version: integers >= 0  11 history
-- REPLY  {outcome, quote_id, bid_lots, ask_lots, expires_ms}
-- ERRORS UNKNOWN_SYMBOL, BAD_PROPOSAL, HALTED, STALE_CONFIG, STALE_HISTORY, STALE_POSITION, UNCOMMITTED_FILLS, STALE_QUOTE, DAMAGED
-- EMITS  quotes (active or withdrawn; expired for each ended quote)

-- INCLUDE base
-- INCLUDE damage
-- INCLUDE exposure
-- INCLUDE expiry
-- INCLUDE waiting
-- INCLUDE headroom
-- INCLUDE mode
-- INCLUDE proposal
-- INCLUDE gate
-- INCLUDE history
local READS, ARGV = take_reads(5)
local keys = { exposure = KEYS[1], expiry = KEYS[2], quotes = KEYS[3], quote = KEYS[7],
  reservation = KEYS[8] }
local config_key, waiting = READS[1], { bid = KEYS[4], ask = KEYS[5] }
local proposed = { position_version = ARGV[4], quote_version = ARGV[5], config_version = ARGV[10], history = ARGV[11] }
local symbol, maker_id, trigger = ARGV[1], ARGV[2], ARGV[3]
local bid_ticks, bid_lots, ask_ticks, ask_lots = ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local symbol_key, position_key, terms_key = KEYS[6] .. symbol, READS[2] .. symbol, READS[4] .. symbol
local reservation_key, quote_key = keys.reservation .. symbol, keys.quote .. symbol
local now = now_ms()
local fill_seq, newest_version, last_outcome = unpack(redis.call('HMGET', symbol_key, 'fill_seq',
  'quote_version', 'outcome'))
local limit_lots, units_word, mode = unpack(redis.call('HMGET', terms_key, 'position_limit_lots',
  'notional_units', 'mode'))
if not (fill_seq and units_word) then
  return redis.error_reply('UNKNOWN_SYMBOL ' .. symbol)
end
local position_limit, notional_units, asked = tonumber(limit_lots), tonumber(units_word), asked_of(ARGV)
local fault = proposal_fault(asked, trigger, maker_id, math.max(position_limit, notional_units))
if fault then
  return redis.error_reply('BAD_PROPOSAL ' .. symbol .. ' ' .. fault)
end
local position_version, net_lots, cash_ticks, halted, frozen, flattened_ms = unpack(redis.call('HMGET',
  position_key, 'position_version', 'net_lots', 'cash_ticks', 'halted', 'frozen_until_ms', 'flattened_ms'))
local mode_of_all, mode_here = redis.call('HGET', READS[3], 'mode'), own_mode(mode, flattened_ms)
local config_version, exposure_mode, quote_ttl_ms, keep_quotes, limit_units, partition, replicas = unpack(
  redis.call('HMGET', config_key, 'config_version', 'exposure_mode', 'quote_ttl_ms', 'keep_quotes',
    'limit_units', 'partition', 'replicas'))
local refusal = gate_refusal(symbol, { halted = no_quote_reason(halted, mode_of_all, mode_here, frozen, now),
  fill_seq = fill_seq, position_version = position_version, quote_version = newest_version,
  config_version = config_version or '1', history = history_of(replicas) }, proposed)
if refusal then
  return refusal
end
local own, exposure = load_reservation(reservation_key),
  load_exposure(keys.exposure, limit_units, partition and READS[5])
local missing = not exposure_mode and config_key or not exposure and keys.exposure
  or not own.quote_id and reservation_key or not (net_lots and cash_ticks) and position_key
if missing then
  return damaged(missing)
end
local due = due_quotes(keys.expiry, now)
local due_total, ended = due_units(keys.reservation, due)
own.bid, own.ask = ended[symbol] and 0 or own.bid, ended[symbol] and 0 or own.ask
local position = { limit = position_limit, net = tonumber(net_lots), cash = tonumber(cash_ticks),
  fill_seq = tonumber(fill_seq), reducing = is_reducing(mode_of_all, mode_here) }
local sides, is_own = {}, function(other) return other == symbol end
for _, name in ipairs({ 'bid', 'ask' }) do
  local lot_units = exposure_mode == 'notional' and asked[name].ticks * notional_units or 1
  -- What can be committed, and fits if no other symbol has a quote.
  local wanted_lots = math.min(asked[name].lots, room_lots(position, name, asked[name].ticks),
    math.floor(exposure.most / lot_units))
  local free = walk_queue(waiting[name], keys.reservation, name,
    free_units(exposure, name, due_total[name] + own[name]), ended, is_own)
  local lots = math.min(wanted_lots, math.floor(free / lot_units))
  if trigger == 'capacity' and free_units(exposure, name, due_total[name]) >= 0 then
    -- A top-up gives nothing back within the limit. Else symbols would pass capacity round for ever.
    lots = math.max(lots, math.min(wanted_lots, math.floor(own[name] / lot_units)))
  end
  sides[name] = { lots = lots, wanted_lots = wanted_lots, lot_units = lot_units,
    units = lots * lot_units, waiting_since = redis.call('ZSCORE', waiting[name], symbol) }
end
local bid, ask, omitted = sides.bid, sides.ask, sides.bid.lots + sides.ask.lots == 0
local outcome = omitted and 'omitted'
  or bid.lots == asked.bid.lots and ask.lots == asked.ask.lots and 'granted' or 'reduced'
local expires_ms = omitted and 0 or now + tonumber(quote_ttl_ms)
-- An omission after an omission changes nothing that anyone could see: no new version, no event.
local silent = omitted and last_outcome == 'omitted'
local quote_version = text(tonumber(newest_version) + (silent and 0 or 1))
local quote_id = symbol .. '-' .. quote_version
local granted_bid, granted_ask, expires_word = text(bid.lots), text(ask.lots), text(expires_ms)

-- Writes start here.
end_due_quotes(keys, due, now, keep_quotes)
redis.call('DEL', quote_key)
if omitted then
  redis.call('ZREM', keys.expiry, symbol)
else
  redis.call('HSET', quote_key, 'quote_id', quote_id, 'quote_version', quote_version,
    'bid_ticks', bid_ticks, 'bid_lots', granted_bid, 'bid_size_lots', granted_bid,
    'ask_ticks', ask_ticks, 'ask_lots', granted_ask, 'ask_size_lots', granted_ask,
    'position_version', position_version, 'expires_ms', expires_word, 'maker_id', maker_id)
  redis.call('PEXPIREAT', quote_key, expires_word)
  redis.call('ZADD', keys.expiry, expires_word, symbol)
end
queue_up(keys.exposure, waiting, symbol, sides, own)
redis.call('HSET', symbol_key, 'quote_version', quote_version, 'outcome', outcome)
if not silent then
  own.event_id = redis.call('XADD', keys.quotes, 'MAXLEN', '~', keep_quotes, '*',
    'event', omitted and 'withdrawn' or 'active', 'symbol', symbol, 'quote_id', quote_id,
    'quote_version', quote_version, 'outcome', outcome, 'bid_ticks', bid_ticks, 'bid_lots', granted_bid,
    'ask_ticks', ask_ticks, 'ask_lots', granted_ask, 'requested_bid_lots', bid_lots,
    'requested_ask_lots', ask_lots, 'position_version', position_version, 'fill_seq', fill_seq,
    'expires_ms', expires_word, 'maker_id', maker_id, 'trigger', trigger, 'ts_ms', text(now),
    'mode', position.reducing and 'reducing' or 'active')
end
reserve(keys, symbol, own, sides, quote_id, own.event_id, expires_ms)
return { outcome, quote_id, bid.lots, ask.lots, expires_ms }
