-- Include: the name of the server's history.
--
-- A failover may cut the end of a server's history, and the same versions may then come again with other
-- contents. So what was read in one history is not compared with another.

-- history_of(replicas) -> the name of the history, which changes whenever its end may have been cut, or -
-- for a system without replicas (nil, false or '0'), whose history is never cut.
local function history_of(replicas)
  if not replicas or replicas == '0' then
    return '-'
  end
  return string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') or '-'
end
