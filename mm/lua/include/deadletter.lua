-- Include: the dead-letter stream, which keeps malformed records as they came.

-- send_dead_letters(deadletter_key, source, letters, keep) appends {entry_id, reason, raw} records.
-- `source` is orders or fills; `keep` is about how many entries the stream keeps.
local function send_dead_letters(deadletter_key, source, letters, keep)
  for _, letter in ipairs(letters) do
    redis.call('XADD', deadletter_key, 'MAXLEN', '~', keep, '*', 'source', source,
      'entry_id', letter.entry_id, 'reason', letter.reason, 'raw', letter.raw)
  end
end
