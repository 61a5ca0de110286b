#!lua flags=allow-oom
-- Set the trading mode of symbols or of all, and withdraw the quotes that it does not allow.
--
-- A symbol that its own mode or that of all symbols halts loses its quote in the same step, and so does
-- one that may only shrink its position from now on: a maker quotes it anew within the new mode. Setting
-- a mode that is set already changes nothing. A flattening symbol that is flat is halted at once. A
-- retired symbol can only be flattened or halted: the other modes flatten it. A halt after an integrity
-- error ends only after a repair, when every fill is committed. Active ends what its protection has frozen.
--
-- KEYS   control operations exposure expiry quotes config waiting:bid waiting:ask symbol:* position:* quote:* reservation:* terms:*
-- ARGV   1 system_id: the system that the caller means  2 mode: active, reducing, flattening or halted
--        3 who  4 role  5 why: words for people  6 after_repair(0/1): end halts after an integrity
--        error too  7 ... symbols; none: the mode of all symbols
-- REPLY  {{symbol or *, mode before, mode, mode that holds, halted, ended, thawed}, ...}, {quote_id, ...}
--        of the withdrawn quotes; of a halt after an integrity error `halted` is why it goes on and
--        `ended` why it was, which is over now, or empty; `thawed` is why its protection had frozen it
-- ERRORS FOREIGN_SYSTEM (the system_id that the keys hold, or nothing), UNKNOWN_SYMBOL,
--        BAD_MODE (why), NOT_REPAIRED (symbol), DAMAGED (a required key is missing)
-- EMITS  operations (one for each changed mode), quotes (withdrawn; expired for a quote whose expiry has
--        passed)

-- INCLUDE base
-- INCLUDE damage
-- INCLUDE expiry
-- INCLUDE waiting
-- INCLUDE mode
-- INCLUDE operations
local control_key, operations_key, expiry_key, config_key = KEYS[1], KEYS[2], KEYS[4], KEYS[6]
local waiting = { bid = KEYS[7], ask = KEYS[8] }
local position_prefix, reservation_prefix, terms_prefix = KEYS[10], KEYS[12], KEYS[13]
local keys = { exposure = KEYS[3], expiry = expiry_key, quotes = KEYS[5], quote = KEYS[11],
  reservation = reservation_prefix }
local mode, who, role, why, after_repair = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6] == '1'

local now = now_ms()
local system_id, keep_quotes = unpack(redis.call('HMGET', config_key, 'system_id', 'keep_quotes'))
local mode_of_all = redis.call('HGET', control_key, 'mode')
if system_id ~= ARGV[1] then
  return redis.error_reply('FOREIGN_SYSTEM ' .. (system_id or 'nothing'))
elseif not keep_quotes then
  return damaged(config_key)
elseif not STRICTNESS[mode] then
  return redis.error_reply('BAD_MODE ' .. mode .. ': it must be active, reducing, flattening or halted')
elseif mode == 'flattening' and #ARGV == 6 then
  return redis.error_reply('BAD_MODE flattening: it needs symbols')
end
local found = {}
for index = 7, #ARGV do
  local symbol = ARGV[index]
  local fill_seq = redis.call('HGET', KEYS[9] .. symbol, 'fill_seq')
  local before, retired_ms = unpack(redis.call('HMGET', terms_prefix .. symbol, 'mode', 'retired_ms'))
  local version, net, halted, frozen, frozen_why, flattened_ms = unpack(redis.call('HMGET',
    position_prefix .. symbol, 'position_version', 'net_lots', 'halted', 'frozen_until_ms', 'frozen_why',
    'flattened_ms'))
  if not fill_seq then
    return redis.error_reply('UNKNOWN_SYMBOL ' .. symbol)
  elseif halted and after_repair and version ~= fill_seq then
    return redis.error_reply('NOT_REPAIRED ' .. symbol)
  end
  local is_flat, wanted = net == '0' and version == fill_seq, mode
  if retired_ms and mode ~= 'halted' then
    wanted = 'flattening'
  end
  found[#found + 1] = { symbol = symbol, key = terms_prefix .. symbol,
    position_key = position_prefix .. symbol, before = own_mode(before, flattened_ms) or 'active',
    mode = wanted == 'flattening' and is_flat and 'halted' or wanted,
    halted = not after_repair and halted or '', ended = after_repair and halted or '',
    thawed = mode == 'active' and frozen and tonumber(frozen) > now and frozen_why or '' }
end
if #found == 0 then
  found[1] = { symbol = '*', key = control_key, before = mode_of_all or 'active', mode = mode,
    halted = '', ended = '', thawed = '' }
  mode_of_all = mode
end

-- Writes start here.
local changes, ended, is_touched = {}, {}, {}
for _, one in ipairs(found) do
  if one.ended ~= '' then
    redis.call('HDEL', one.position_key, 'halted')
    tell_operation(operations_key, { op = 'end_halt', symbol = one.symbol, who = who, role = role,
      why = why, before = one.ended, after = '-' }, now)
  end
  if one.thawed ~= '' then
    redis.call('HDEL', one.position_key, 'frozen_until_ms', 'frozen_why')
    tell_operation(operations_key, { op = 'end_freeze', symbol = one.symbol, who = who, role = role,
      why = why, before = one.thawed, after = '-' }, now)
  end
  changes[#changes + 1] = { one.symbol, one.before, one.mode, stricter(mode_of_all, one.mode),
    one.halted, one.ended, one.thawed }
  if one.before ~= one.mode then
    redis.call('HSET', one.key, 'mode', one.mode, 'mode_why', why, 'mode_who', who, 'mode_ms', text(now))
    if one.position_key then
      redis.call('HDEL', one.position_key, 'flattened_ms')
    end
    tell_operation(operations_key, { op = 'mode', symbol = one.symbol, who = who, role = role,
      why = why, before = one.before, after = one.mode }, now)
    is_touched[one.symbol] = strictness(one.mode) > strictness(one.before)
  end
end
local standing = redis.call('ZRANGE', expiry_key, 0, -1, 'WITHSCORES')
for index = 1, #standing, 2 do
  local symbol, expired = standing[index], tonumber(standing[index + 1]) <= now
  if is_touched['*'] or is_touched[symbol] then
    local cause = not expired and (is_halted(mode_of_all, redis.call('HGET', terms_prefix .. symbol,
      'mode')) and 'operator_halt' or 'reducing') or nil
    ended[#ended + 1] = end_quote(keys, symbol, expired and 'expired' or 'withdrawn', now, keep_quotes,
      cause)
  end
end
for _, queue in pairs(waiting) do
  for _, symbol in ipairs(redis.call('ZRANGE', queue, 0, -1)) do
    if is_touched['*'] or is_touched[symbol] then
      leave_queues(waiting, reservation_prefix, symbol)
    end
  end
end
return { changes, ended }
