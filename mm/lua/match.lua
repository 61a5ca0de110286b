#!lua
-- Match the next orders after the exchange's cursor against the active quotes: one atomic step.
--
-- KEYS   cursors orders fills exposure expiry config deadletter symbol:* quote:* reservation:* reports:* seen:*
-- ARGV   1 most: integer > 0, orders to take at most (an entry is never split)
-- REPLY  {cursor, orders, fills, duplicates, rejected, more(0/1), now_ms, next_expiry_ms or 0}
-- ERRORS DAMAGED (a key that must be there is not); what cannot be an order is a dead letter
-- EMITS  fills, reports:<client_id>, deadletter

-- INCLUDE base
-- INCLUDE count
-- INCLUDE damage
-- INCLUDE streams
-- INCLUDE order
-- INCLUDE reports
-- INCLUDE seen
-- INCLUDE book
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
local asked = order_keys(entries)
-- The bucket never goes back, so a clock that is set back forgets no order.
local bucket = math.max(newest or 0, math.floor(now / window))
local seen = first_outcomes(seen_prefix, bucket, asked)

local books, fills, reports, first, dead = {}, {}, {}, {}, {}
local number, filled, known, duplicates, rejected = 0, 0, 0, 0, 0
local first_end, again_end = ' 0 ' .. text(now), ' 1 ' .. text(now)
for n = 1, #entries do
  local fields = entries[n][2]
  for i = 1, #fields, 2 do
    number = number + 1
    local name = fields[i]
    local fault, client, named, symbol, side, lots, limit = read_order(name, fields[i + 1])
    local key = named and asked[number]
    local outcome = key and seen[key]
    local again = outcome
    if again then
      duplicates = duplicates + 1
    else
      local book, fill_id, fill = books[symbol or '']
      if book == nil and not fault then
        book = load_book(keys, symbol, notional, now)
        books[symbol] = book
      end
      if book then
        outcome, fill_id, fill = execute(book, client, name, side, lots, limit)
      else
        fault = fault or 'unknown_symbol'
        outcome = 'rejected ' .. fault .. ' 0 - - -'
        rejected = rejected + 1
      end
      if fill then
        fills[filled + 1], fills[filled + 2] = fill_id, fill
        filled = filled + 2
      end
      if key then
        seen[key] = outcome
        first[known + 1], first[known + 2] = key, outcome
        known = known + 2
      end
    end
    if fault then
      dead[#dead + 1] = { entry = entries[n][1], reason = fault, raw = name .. ' ' .. fields[i + 1] }
    end
    if client then
      -- An order whose id breaks the rule for ids is answered too, under the name "-".
      add_report(reports, client, key and name or '-', outcome .. (again and again_end or first_end),
        again or not key)
    end
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
local freed_bid, freed_ask = store_books(keys, books)
append(fills_key, fills, nil)
if #fills > 0 then
  redis.call('HINCRBY', exposure_key, 'bid_units', text(-freed_bid))
  redis.call('HINCRBY', exposure_key, 'ask_units', text(-freed_ask))
end
remember(seen_prefix, bucket, window, first)
send_reports(reports_prefix, reports, config[5], config[3])
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
