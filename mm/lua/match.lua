#!lua
-- Match the next orders after the exchange's cursor against the active quotes: one atomic step.
--
-- KEYS   cursors orders fills exposure expiry config deadletter symbol:* quote:* reservation:* reports:* seen:*
-- ARGV   1 most: integer > 0, orders to take at most (an entry is never split)
-- REPLY  {cursor, orders, fills, duplicates, rejected, more(0/1), now_ms, next_expiry_ms or 0}
-- ERRORS DAMAGED (a key that must be there is not); what cannot be an order is a dead letter
-- EMITS  fills, reports:<client_id>, deadletter

-- INCLUDE _base
-- INCLUDE _damage
-- INCLUDE _stream
-- INCLUDE _order
-- INCLUDE _report
-- INCLUDE _seen
-- INCLUDE _book
local cursors_key, orders_key, fills_key, exposure_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local expiry_key, config_key, deadletter_key = KEYS[5], KEYS[6], KEYS[7]
local keys = { symbol = KEYS[8], quote = KEYS[9], reservation = KEYS[10] }
local reports_prefix, seen_prefix = KEYS[11], KEYS[12]

local now = now_ms()
local config = redis.call('HMGET', config_key, 'exposure_mode', 'dedup_window_ms',
  'report_idle_ms', 'keep_orders', 'keep_reports', 'keep_deadletters')
local cursor = redis.call('HMGET', cursors_key, 'exchange', 'exchange_records', 'seen_bucket',
  'trim_to', 'trim_next', 'trim_records', 'state')
local notional, window, newest = config[1] == 'notional', tonumber(config[2]), tonumber(cursor[3])
local gone = not window and config_key or not cursor[1] and cursors_key
  or lost_memory(fills_key, cursor[7], seen_prefix, newest, window, now)
if gone then
  return damaged(gone)
end
local entries, count, more = next_entries(orders_key, cursor[1], tonumber(ARGV[1]))
local orders, asked = parse_orders(entries)
-- The bucket never goes back, so a clock that is set back forgets no order.
local bucket = math.max(newest or 0, math.floor(now / window))
local seen = first_outcomes(seen_prefix, bucket, asked)

local books, fills, reports, first, dead, duplicates, rejected = {}, {}, {}, {}, {}, 0, 0
for _, order in ipairs(orders) do
  local outcome = order.key and seen[order.key]
  local again, fault = outcome and '1' or '0', order.fault
  if outcome then
    duplicates = duplicates + 1
  else
    if fault then
      outcome = 'rejected ' .. fault .. ' 0 - - -'
    else
      local symbol = order.symbol
      if books[symbol] == nil then
        books[symbol] = load_book(keys, symbol, notional)
      end
      fault = not books[symbol] and 'unknown_symbol' or nil
      outcome = execute(books[symbol], order, now, fills)
    end
    rejected = rejected + (fault and 1 or 0)
    if order.key then
      seen[order.key] = outcome
      first[#first + 1] = order.key
      first[#first + 1] = outcome
    end
  end
  if fault then
    dead[#dead + 1] = { entry = order.entry, reason = fault, raw = order.id .. ' ' .. order.line }
  end
  if order.client then
    -- An order whose id breaks the rule for ids is answered too, under the name "-".
    add_report(reports, order.client, order.key and order.id or '-',
      table.concat({ outcome, again, text(now) }, ' '))
  end
end
local next_expiry = redis.call('ZRANGE', expiry_key, 0, 0, 'WITHSCORES')[2]
local cursor_id = count > 0 and entries[#entries][1] or cursor[1]
local reply = { cursor_id, count, #fills / 2, duplicates, rejected, more and 1 or 0, now,
  tonumber(next_expiry) or 0 }
if count == 0 then
  return reply
end

-- Writes start here.
local freed_bid, freed_ask = 0, 0
for symbol, book in pairs(books) do
  if book and book.bid.filled + book.ask.filled > 0 then
    local bid, ask = book.bid, book.ask
    redis.call('HSET', keys.quote .. symbol, 'bid_lots', text(bid.lots), 'ask_lots', text(ask.lots))
    redis.call('HSET', keys.reservation .. symbol,
      'bid_units', text(bid.lots * bid.unit), 'ask_units', text(ask.lots * ask.unit))
    redis.call('HSET', keys.symbol .. symbol, 'fill_seq', text(book.seq))
    freed_bid = freed_bid + bid.filled * bid.unit
    freed_ask = freed_ask + ask.filled * ask.unit
  end
end
append(fills_key, fills, nil)
if #fills > 0 then
  redis.call('HINCRBY', exposure_key, 'bid_units', text(-freed_bid))
  redis.call('HINCRBY', exposure_key, 'ask_units', text(-freed_ask))
end
remember(seen_prefix, bucket, window, first)
for client, chunks in pairs(reports) do
  for _, chunk in ipairs(chunks) do
    append(reports_prefix .. client, chunk.records, config[5])
  end
  redis.call('PEXPIRE', reports_prefix .. client, config[3])
end
for _, one in ipairs(dead) do
  redis.call('XADD', deadletter_key, 'MAXLEN', '~', config[6], '*', 'source', 'orders',
    'entry_id', one.entry, 'reason', one.reason, 'raw', one.raw)
end
local records = (tonumber(cursor[2]) or 0) + count
redis.call('HSET', cursors_key, 'exchange', cursor_id, 'exchange_records', text(records),
  'seen_bucket', #first > 0 and text(bucket) or cursor[3] or '-')
-- Trims to where the cursor was keep_orders records ago or more, a little at a time.
if records - (tonumber(cursor[6]) or 0) >= tonumber(config[4]) then
  redis.call('HSET', cursors_key, 'trim_to', cursor[5] or '0-0', 'trim_next', cursor_id,
    'trim_records', text(records))
end
if cursor[4] then
  redis.call('XTRIM', orders_key, 'MINID', '~', cursor[4])
end
return reply
