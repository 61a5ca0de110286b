#!lua
-- Match the next orders after the exchange's cursor against the active quotes, in one atomic step.
--
-- KEYS   cursors orders fills exposure deadletter symbol:* quote:* reservation:* reports:* seen:*
-- READS  config control expiry terms:* position:*
-- ARGV   1 max_orders: integer > 0, orders to take at most; an entry is never split
-- REPLY  {cursor, orders, fills, duplicates, rejected, more(0/1), now_ms, next_expiry_ms or 0}
-- ERRORS DAMAGED (a required key is missing). A malformed order goes to the dead-letter stream and does not fail the batch
-- EMITS  fills, reports:<client_id>, deadletter

-- INCLUDE base
-- INCLUDE damage
-- INCLUDE streams
-- INCLUDE order
-- INCLUDE reports
-- INCLUDE seen
-- INCLUDE book
-- INCLUDE deadletter
local READS, ARGV = take_reads(5)
local cursors_key, orders_key, fills_key, expiry_key = KEYS[1], KEYS[2], KEYS[3], READS[3]
local config_key, deadletter_key, reports_prefix, seen_prefix = READS[1], KEYS[5], KEYS[9], KEYS[10]
local keys = { exposure = KEYS[4], symbol = KEYS[6], quote = KEYS[7], reservation = KEYS[8],
  terms = READS[4], position = READS[5] }
local now = now_ms()
local exposure_mode, window_ms, report_idle_ms, keep_orders, keep_reports, keep_deadletters =
  unpack(redis.call('HMGET', config_key, 'exposure_mode', 'dedup_window_ms', 'report_idle_ms',
    'keep_orders', 'keep_reports', 'keep_deadletters'))
local cursor, records_before, seen_bucket, trim_to, trim_next, trim_records, state_cursor =
  unpack(redis.call('HMGET', cursors_key, 'exchange', 'exchange_records', 'seen_bucket', 'trim_to',
    'trim_next', 'trim_records', 'state'))
local notional, mode_of_all = exposure_mode == 'notional', redis.call('HGET', READS[2], 'mode')
local window, newest_bucket = tonumber(window_ms), tonumber(seen_bucket)
local missing = not window and config_key or not cursor and cursors_key
  or lost_memory(fills_key, state_cursor, seen_prefix, newest_bucket, window, now)
if missing then
  return damaged(missing)
end
local entries, count, more = next_entries(orders_key, cursor, tonumber(ARGV[1]))
local seen_keys = order_keys(entries)
-- The bucket never goes back. So the memory of orders survives a clock that is set back.
local bucket = math.max(newest_bucket or 0, math.floor(now / window))
local seen = remembered_orders(seen_prefix, bucket, seen_keys)

local books, fills, reports, outcomes, dead_letters = {}, {}, {}, {}, {}
local orders, fills_length, outcomes_length, duplicates, rejected = 0, 0, 0, 0, 0
local first_end, duplicate_end = ' 0 ' .. text(now), ' 1 ' .. text(now)
for _, entry in ipairs(entries) do
  local entry_id, fields = entry[1], entry[2]
  for index = 1, #fields, 2 do
    orders = orders + 1
    local order_id, line = fields[index], fields[index + 1]
    local fault, client, valid_ids, symbol, side, lots, limit = read_order(order_id, line)
    local key = valid_ids and seen_keys[orders]
    local content = key and content_of(line, client)
    local remembered, outcome = key and seen[key], nil
    if remembered then
      outcome = outcome_of_same(remembered, content)
      fault = not outcome and 'order_id_conflict' or fault
      duplicates = duplicates + (outcome and 1 or 0)
    elseif not fault then
      local book, fill_id, fill = books[symbol]
      if book == nil then
        book = load_book(keys, symbol, notional, mode_of_all, now)
        books[symbol] = book
      end
      if book then
        outcome, fill_id, fill = execute(book, client, order_id, side, lots, limit)
      else
        fault = 'unknown_symbol'
      end
      if fill then
        fills[fills_length + 1], fills[fills_length + 2] = fill_id, fill
        fills_length = fills_length + 2
      end
    end
    local duplicate = remembered and outcome
    if not outcome then
      outcome = 'rejected ' .. fault .. ' 0 - - -'
      rejected = rejected + 1
    end
    if key and not remembered then
      seen[key] = content .. ' ' .. outcome
      outcomes[outcomes_length + 1], outcomes[outcomes_length + 2] = key, seen[key]
      outcomes_length = outcomes_length + 2
    end
    if fault then
      dead_letters[#dead_letters + 1] = { entry_id = entry_id, reason = fault,
        raw = order_id .. ' ' .. line }
    end
    if client then
      -- An order with an invalid id is answered too, under the name "-".
      add_report(reports, client, key and order_id or '-',
        outcome .. (duplicate and duplicate_end or first_end), remembered or not key)
    end
  end
end
local new_cursor = count > 0 and entries[#entries][1] or cursor
local reply = { new_cursor, count, #fills / 2, duplicates, rejected, more and 1 or 0, now,
  tonumber(redis.call('ZRANGE', expiry_key, 0, 0, 'WITHSCORES')[2]) or 0 }
if count == 0 then
  return reply
end
-- Writes start here.
store_books(keys, books)
append(fills_key, fills, nil)
remember(seen_prefix, bucket, window, outcomes)
send_reports(reports_prefix, reports, keep_reports, report_idle_ms)
send_dead_letters(deadletter_key, 'orders', dead_letters, keep_deadletters)
local records = (tonumber(records_before) or 0) + count
redis.call('HSET', cursors_key, 'exchange', new_cursor, 'exchange_records', text(records),
  'seen_bucket', #outcomes > 0 and text(bucket) or seen_bucket or '-')
-- Trims a little at a time, to where the cursor was at least keep_orders records ago.
if records - (tonumber(trim_records) or 0) >= tonumber(keep_orders) then
  redis.call('HSET', cursors_key, 'trim_to', trim_next or '0-0', 'trim_next', new_cursor,
    'trim_records', text(records))
end
if trim_to then
  redis.call('XTRIM', orders_key, 'MINID', '~', trim_to)
end
return reply
