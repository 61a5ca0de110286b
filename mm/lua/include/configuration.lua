-- Include: a change of the configuration: what may change, and what follows from it.

-- INCLUDE base
-- INCLUDE exposure
-- INCLUDE mode
-- INCLUDE operations

-- What may change while the system runs. All else is part of what the ledger and the memory of orders
-- mean: a tick, a lot, a unit of exposure, the window of remembered orders.
local MARKET_FIELDS = { limit_units = true, quote_ttl_ms = true, refresh_ms = true,
  report_idle_ms = true, keep_fills = true, keep_orders = true, keep_reports = true, keep_updates = true,
  keep_quotes = true, keep_deadletters = true, protection_window_ms = true, protection_freeze_ms = true,
  archive_days = true, archive_mb = true }
local SYMBOL_FIELDS = { reference_ticks = true, spread_ticks = true, size_lots = true,
  skew_ticks = true, position_limit_lots = true, protection_lots = true, protection_loss_ticks = true }

-- field_fault(list, allowed) -> the error reply that refuses a change of these fields, or nil. `list` is
-- {field, value, ...}.
local function field_fault(list, allowed)
  for index = 1, #list, 2 do
    if not allowed[list[index]] then
      return redis.error_reply('FIXED ' .. list[index])
    elseif not whole(list[index + 1]) then
      return redis.error_reply('NOT_INTEGER ' .. list[index] .. ' ' .. list[index + 1])
    end
  end
  return nil
end

-- tell_change(operations_key, op, symbol, key, list, before, after, by, now) appends an operation with the values
-- that the fields of `list` have at `key` and get, behind the words of `before` and `after`. `by` has
-- who, role and why.
local function tell_change(operations_key, op, symbol, key, list, before, after, by, now)
  for index = 1, #list, 2 do
    local field, value = list[index], list[index + 1]
    before[#before + 1] = field .. '=' .. (redis.call('HGET', key, field) or '-')
    after[#after + 1] = field .. '=' .. value
  end
  tell_operation(operations_key, { op = op, symbol = symbol, who = by.who, role = by.role, why = by.why,
    before = table.concat(before, ' '), after = table.concat(after, ' ') }, now)
end

-- change_mode(terms_key, symbol_key, position_key, change, by, now) -> words for what the change makes of
-- the symbol's mode, before and after. A retired symbol is flattened, or halted when it is flat or was
-- halted; one that returns is active.
local function change_mode(terms_key, symbol_key, position_key, change, by, now)
  if change == 'alter' then
    return {}, {}
  end
  local fill_seq = redis.call('HGET', symbol_key, 'fill_seq')
  local version, net, flattened_ms = unpack(redis.call('HMGET', position_key, 'position_version', 'net_lots',
    'flattened_ms'))
  local mode = own_mode(redis.call('HGET', terms_key, 'mode'), flattened_ms)
  local next_mode = 'active'
  if change == 'retire' then
    local is_flat = net == '0' and version == fill_seq
    next_mode = (is_flat or mode == 'halted') and 'halted' or 'flattening'
    redis.call('HSET', terms_key, 'retired_ms', text(now))
  else
    redis.call('HDEL', terms_key, 'retired_ms')
  end
  redis.call('HSET', terms_key, 'mode', next_mode, 'mode_why', by.why, 'mode_who', by.who,
    'mode_ms', text(now))
  redis.call('HDEL', position_key, 'flattened_ms')
  return { 'mode=' .. (mode or 'active') }, { 'mode=' .. next_mode }
end

-- keep_position_limit(terms_key, list) remembers the widest limit that a position was allowed, before
-- `list` changes it.
local function keep_position_limit(terms_key, list)
  local old, widest = unpack(redis.call('HMGET', terms_key, 'position_limit_lots', 'widest_limit_lots'))
  for index = 1, #list, 2 do
    if list[index] == 'position_limit_lots' and old then
      redis.call('HSET', terms_key, 'widest_limit_lots',
        text(math.max(tonumber(old), tonumber(widest) or 0, tonumber(list[index + 1]))))
    end
  end
end

-- change_limit(exposure_key, expiry_key, list) sets the limit, if `list` changes it. What is reserved
-- beyond a lower one is remembered for each side, and when the last quote ends that may be part of it.
local function change_limit(exposure_key, expiry_key, list)
  for index = 1, #list, 2 do
    if list[index] == 'limit_units' then
      local exposure = load_exposure(exposure_key, list[index + 1])
      local limit, newest = tonumber(list[index + 1]), redis.call('ZRANGE', expiry_key, -1, -1, 'WITHSCORES')
      local over = exposure.bid > limit or exposure.ask > limit
      redis.call('HSET', exposure_key, 'limit_units', list[index + 1],
        'over_bid_units', over and text(exposure.bid) or '0',
        'over_ask_units', over and text(exposure.ask) or '0',
        'over_until_ms', over and newest[2] or '0')
    end
  end
end
