#!lua flags=allow-oom
-- Take part in the escrow of the global limit as one partition, in one atomic step.
--
-- A partition's lease is what it has accepted less what it has returned. What the treasury has granted is
-- accepted, and what is due is returned as far as no quote reserves it; the rest is owed, and place.lua
-- grants no unit of it. All counters only grow, so a call that comes twice or late changes nothing.
--
-- KEYS   lease
-- READS  exposure config expiry waiting:bid waiting:ask reservation:*
-- ARGV   1 granted: the units that the treasury has ever granted the partition, or 0  2 due: the units
--        that the partition must ever have returned, or 0: integers from 0 to 2^53 - 1
-- REPLY  {accepted, returned, due, reserved, claimed, grain}, in units: the larger reserved total of the
--        two sides; what the symbols would have reserved on that side that wants most, if they all had what
--        they wait for, or `reserved`; what one lot more of a waiting symbol takes, the largest such
-- ERRORS NOT_A_PARTITION (the key of the configuration), NOT_INTEGER (the word), DAMAGED (a required key is missing)
-- EMITS  nothing

-- INCLUDE base
-- INCLUDE damage
-- INCLUDE exposure
-- INCLUDE expiry
-- INCLUDE waiting
local READS, ARGV = take_reads(6)
local lease_key, exposure_key, config_key, expiry_key = KEYS[1], READS[1], READS[2], READS[3]
local waiting, reservation_prefix = { bid = READS[4], ask = READS[5] }, READS[6]
local granted, due_word = whole(ARGV[1]), whole(ARGV[2])
-- The number of waiting symbols of each side whose claims are counted at most.
local MAX_CLAIMS = 1000

local now = now_ms()
if not (granted and due_word) then
  return redis.error_reply('NOT_INTEGER ' .. (granted and ARGV[2] or ARGV[1]))
end
local partition, limit_units = unpack(redis.call('HMGET', config_key, 'partition', 'limit_units'))
if not limit_units then
  return damaged(config_key)
elseif not partition then
  return redis.error_reply('NOT_A_PARTITION ' .. config_key)
end
local exposure, lease = load_exposure(exposure_key, limit_units, lease_key), load_lease(lease_key)
if not exposure then
  return damaged(lease and exposure_key or lease_key)
end
local accepted, due = math.max(lease.accepted, granted), math.max(lease.due, due_word)
local reserved = math.max(exposure.bid, exposure.ask)
local owed = math.max(0, due - lease.returned)
local returned = lease.returned + math.max(0, math.min(owed, accepted - lease.returned - reserved))

local due_total, ended = due_units(reservation_prefix, due_quotes(expiry_key, now))
local claimed, grain = reserved, 0
for name, queue in pairs(waiting) do
  local wanted = exposure[name] - due_total[name]
  for _, symbol in ipairs(redis.call('ZRANGE', queue, 0, MAX_CLAIMS - 1)) do
    local claim, lot_units = claim_of(reservation_prefix, symbol, name, ended)
    wanted = wanted + claim
    grain = claim > 0 and math.max(grain, lot_units) or grain
  end
  claimed = math.max(claimed, wanted)
end

-- Writes start here.
-- There is always one, so that a WAIT after it covers all that the reply says.
redis.call('HSET', lease_key, 'accepted', text(accepted), 'returned', text(returned), 'due', text(due))
redis.call('HINCRBY', lease_key, 'seq', 1)
return { accepted, returned, due, reserved, claimed, grain }
