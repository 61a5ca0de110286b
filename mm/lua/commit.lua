#!lua flags=allow-oom
-- Apply the next fills of the ledger to the positions, in one atomic step.
--
-- A record halts its symbol when it does not continue the symbol's sequence, or would make a number
-- inexact: the symbol's quote is withdrawn, and no further fill of the symbol is applied.
--
-- KEYS   cursors positions exposure expiry quotes deadletter waiting:bid waiting:ask position:* quote:* reservation:* operations window:*
-- READS  fills config symbol:* terms:*
-- ARGV   1 max_fills: integer > 0, fills to take at most; an entry is never split
-- REPLY  {cursor, fills applied, more(0/1), now_ms, {symbol, position_version, ...}, {symbol, why, ...} of new halts}
-- ERRORS DAMAGED (a required key is missing). A bad record halts its own symbol only
-- EMITS  positions; quotes (withdrawn) and deadletter on a halt; operations when a symbol is flat that was
--        to be flattened, or is frozen by its protection

-- INCLUDE base
-- INCLUDE damage
-- INCLUDE streams
-- INCLUDE expiry
-- INCLUDE position
-- INCLUDE deadletter
-- INCLUDE waiting
-- INCLUDE operations
-- INCLUDE protection
local READS, ARGV = take_reads(4)
local cursors_key, fills_key, positions_key, config_key = KEYS[1], READS[1], KEYS[2], READS[2]
local waiting, deadletter_key = { bid = KEYS[7], ask = KEYS[8] }, KEYS[6]
local position_prefix, reservation_prefix = KEYS[9], KEYS[11]
local keys = { exposure = KEYS[3], expiry = KEYS[4], quotes = KEYS[5], position = position_prefix,
  quote = KEYS[10], reservation = reservation_prefix, operations = KEYS[12], window = KEYS[13],
  symbol = READS[3], terms = READS[4] }
local now = now_ms()
local keep_updates, keep_quotes, keep_deadletters, window_ms, freeze_ms = unpack(redis.call('HMGET',
  config_key, 'keep_updates', 'keep_quotes', 'keep_deadletters', 'protection_window_ms',
  'protection_freeze_ms'))
local cursor, records_before = unpack(redis.call('HMGET', cursors_key, 'state', 'state_records'))
if not keep_updates or not cursor then
  return damaged(keep_updates and cursors_key or config_key)
end
local entries, count, more = next_entries(fills_key, cursor, tonumber(ARGV[1]))

local positions, symbols, halts, dead_letters, applied = {}, {}, {}, {}, 0
for _, entry in ipairs(entries) do
  local entry_id, fields = entry[1], entry[2]
  for index = 1, #fields, 2 do
    local fill_id, line = fields[index], fields[index + 1]
    local symbol, seq, signed_lots, ticks, spread = parse_fill(fill_id, line)
    local position = positions[symbol or '']
    if position == nil and symbol then
      position = load_position(keys, symbol)
      positions[symbol] = position
      symbols[#symbols + 1] = position and symbol or nil
    end
    local why
    if not position then
      why = 'no such symbol'
    elseif position.halted then
      why = 'symbol is halted'
    else
      why = apply_fill(position, fill_id, seq, signed_lots, ticks, spread)
    end
    if not why then
      applied = applied + 1
    else
      dead_letters[#dead_letters + 1] = { entry_id = entry_id, reason = why,
        raw = fill_id .. ' ' .. line }
      if position and not position.halted then
        position.halted = why
        halts[#halts + 1] = symbol
        halts[#halts + 1] = why
      end
    end
  end
end
local new_cursor, committed = count > 0 and entries[#entries][1] or cursor, {}
if count == 0 then
  return { new_cursor, 0, 0, now, committed, halts }
end

-- Writes start here.
local updates = {}
for _, symbol in ipairs(symbols) do
  local position = positions[symbol]
  if position.last_id then
    updates[#updates + 1] = symbol
    updates[#updates + 1] = store_position(position_prefix, symbol, position, now)
    committed[#committed + 1] = symbol
    committed[#committed + 1] = position.version
  end
end
append(positions_key, updates, keep_updates)
-- stop_quoting(symbol, cause) ends the symbol's quote and what it waits for.
local function stop_quoting(symbol, cause)
  leave_queues(waiting, reservation_prefix, symbol)
  if redis.call('HGET', reservation_prefix .. symbol, 'state') == 'active' then
    end_quote(keys, symbol, 'withdrawn', now, keep_quotes, cause)
  end
end
for index = 1, #halts, 2 do
  local symbol, why = halts[index], halts[index + 1]
  redis.call('HSET', position_prefix .. symbol, 'halted', why)
  stop_quoting(symbol, 'halted')
end
-- Systems of earlier versions lack the two until somebody changes them.
local rule = { window_ms = tonumber(window_ms) or 10000, freeze_ms = tonumber(freeze_ms) or 60000 }
for _, symbol in ipairs(symbols) do
  local position = positions[symbol]
  if protect(keys, rule, symbol, position, now) then
    stop_quoting(symbol, 'protection')
  end
  if position.mode == 'flattening' and position.net == 0 and text(position.version) == position.fill_seq then
    redis.call('HSET', position_prefix .. symbol, 'flattened_ms', text(now))
    tell_operation(keys.operations, { op = 'mode', symbol = symbol, who = '-', role = 'state',
      why = 'the position is flat', before = 'flattening', after = 'halted' }, now)
    stop_quoting(symbol, 'operator_halt')
  end
end
send_dead_letters(deadletter_key, 'fills', dead_letters, keep_deadletters)
redis.call('HSET', cursors_key, 'state', new_cursor,
  'state_records', text((tonumber(records_before) or 0) + count))
return { new_cursor, applied, more and 1 or 0, now, committed, halts }
