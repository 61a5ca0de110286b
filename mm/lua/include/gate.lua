-- Include: the gate, which refuses a proposal that does not start from the newest facts.

-- gate_refusal(symbol, current, proposed) -> the error reply that refuses the proposal, or nil.
-- `current` has halted (why, or false), config_version, history, fill_seq, position_version (false when there is
-- no position) and quote_version; `proposed` has config_version, history, position_version and quote_version. All
-- are texts as stored and as given.
local function gate_refusal(symbol, current, proposed)
  if current.halted then
    return redis.error_reply('HALTED ' .. symbol .. ' ' .. current.halted)
  elseif current.config_version ~= proposed.config_version then
    return redis.error_reply('STALE_CONFIG ' .. symbol .. ' newest ' .. current.config_version
      .. ' proposed ' .. (proposed.config_version or 'none'))
  elseif current.history ~= proposed.history then
    return redis.error_reply('STALE_HISTORY ' .. symbol .. ' now ' .. current.history .. ' proposed '
      .. (proposed.history or 'none'))
  elseif current.position_version ~= proposed.position_version then
    return redis.error_reply('STALE_POSITION ' .. symbol .. ' committed '
      .. (current.position_version or 'none') .. ' proposed ' .. proposed.position_version)
  elseif current.fill_seq ~= current.position_version then
    return redis.error_reply('UNCOMMITTED_FILLS ' .. symbol .. ' emitted ' .. current.fill_seq
      .. ' committed ' .. current.position_version)
  elseif current.quote_version ~= proposed.quote_version then
    return redis.error_reply('STALE_QUOTE ' .. symbol .. ' newest ' .. current.quote_version
      .. ' proposed ' .. proposed.quote_version)
  end
  return nil
end
