-- Include: market-maker protection.
--
-- A symbol that trades or loses too much within a window of time is frozen: it is not quoted until an
-- instant, or until an operator resumes it.

-- INCLUDE base
-- INCLUDE operations

-- excess(window_key, position, window_ms, now) -> what is more than the position's protection allows, in
-- words, or nil. The list at `window_key` has an entry for each committing step of the last window_ms:
-- its instant, the lots traded before and after it, and the value before it in ticks x lots.
local function excess(window_key, position, window_ms, now)
  local newest = redis.call('LINDEX', window_key, -1)
  local lots_before = newest and tonumber(string.match(newest, '^%d+ %d+ (%d+)')) or 0
  local lots = lots_before + position.traded
  redis.call('RPUSH', window_key, table.concat({ text(now), text(lots_before), text(lots),
    text(position.value_before) }, ' '))
  redis.call('PEXPIREAT', window_key, text(now + window_ms))
  local oldest = redis.call('LINDEX', window_key, 0)
  while tonumber(string.match(oldest, '^%d+')) <= now - window_ms do
    redis.call('LPOP', window_key)
    oldest = redis.call('LINDEX', window_key, 0)
  end
  local first_lots, first_value = string.match(oldest, '^%d+ (%d+) %d+ (%-?%d+)$')
  local traded = lots - tonumber(first_lots)
  local loss = tonumber(first_value) - (position.cash + position.net * position.last_ticks)
  if position.most_lots > 0 and traded > position.most_lots then
    return 'traded ' .. text(traded) .. ' lots, more than ' .. text(position.most_lots)
  elseif position.most_loss > 0 and loss > position.most_loss then
    return 'lost ' .. text(loss) .. ' ticks x lots, more than ' .. text(position.most_loss)
  end
  return nil
end

-- protect(keys, rule, symbol, position, now) -> whether the step that has changed the position freezes the
-- symbol. `keys` has position, window and operations, `rule` the configuration's window_ms and freeze_ms.
local function protect(keys, rule, symbol, position, now)
  local is_bounded = position.most_lots > 0 or position.most_loss > 0
  if position.traded == 0 or not is_bounded or position.frozen_until > now then
    return false
  end
  local found = excess(keys.window .. symbol, position, rule.window_ms, now)
  if not found then
    return false
  end
  local why = found .. ' within ' .. text(rule.window_ms) .. ' ms'
  local until_ms = text(rule.freeze_ms == 0 and MAX_INT or now + rule.freeze_ms)
  redis.call('HSET', keys.position .. symbol, 'frozen_until_ms', until_ms, 'frozen_why', why)
  redis.call('DEL', keys.window .. symbol)
  tell_operation(keys.operations, { op = 'freeze', symbol = symbol, who = '-', role = 'state', why = why,
    before = '-', after = 'frozen_until_ms=' .. until_ms }, now)
  return true
end
