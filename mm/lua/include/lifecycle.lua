-- Include: the lifecycle stream, which says when processes and the server started and ended.

-- INCLUDE base

-- About how many events the stream keeps.
local KEEP_LIFECYCLE = '10000'

-- tell(lifecycle_key, event, process, kind, pid, now, before_pid, heard_ms) appends an event:
--   started         the first heartbeat of a process. `before_pid` is a process of the same name that
--                   had not stopped in order; it was last heard at `heard_ms`
--   stopped         the process stopped in order
--   lost            the process was last heard at `heard_ms`, while others were heard
--   returned        a lost process is heard again; before that it was last heard at `heard_ms`
--   server_started  the server is another run than at the heartbeats before, of which the newest was
--                   at `heard_ms`; process, kind and pid are "-"
local function tell(lifecycle_key, event, process, kind, pid, now, before_pid, heard_ms)
  redis.call('XADD', lifecycle_key, 'MAXLEN', '~', KEEP_LIFECYCLE, '*', 'event', event,
    'process', process, 'kind', kind, 'pid', pid or '-', 'before_pid', before_pid or '-',
    'heard_ms', heard_ms or '-', 'ts_ms', text(now))
end
