-- Include: the operations stream, which says who changed what, and why.

-- INCLUDE base

-- About how many operations the stream keeps.
local KEEP_OPERATIONS = '100000'

-- tell_operation(operations_key, change, now) appends an operation. `change` has op (mode, repair,
-- end_halt, freeze, end_freeze, config, admit, or what became of a symbol's configuration: alter, add,
-- retire, return), symbol (or * for all), who, role, why, and the values before and after.
local function tell_operation(operations_key, change, now)
  redis.call('XADD', operations_key, 'MAXLEN', '~', KEEP_OPERATIONS, '*', 'op', change.op,
    'symbol', change.symbol, 'who', change.who, 'role', change.role, 'why', change.why,
    'before', change.before, 'after', change.after, 'ts_ms', text(now))
end
