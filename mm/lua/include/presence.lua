-- Include: which processes are live.

-- INCLUDE base

-- live_processes(processes_key, kind, live_ms, now) -> the names of this kind that were heard within
-- live_ms, sorted.
local function live_processes(processes_key, kind, live_ms, now)
  local live = {}
  -- A heartbeat later than now was made before the clock was set back. It does not count as heard.
  local heard = redis.call('ZRANGEBYSCORE', processes_key, text(now - live_ms), text(now))
  for _, name in ipairs(heard) do
    if string.find(name, kind .. '-', 1, true) == 1 then
      live[#live + 1] = name
    end
  end
  table.sort(live)
  return live
end
