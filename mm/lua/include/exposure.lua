-- Include: exposure, in units: the limit, the reserved total of each side, and one symbol's share.
--
-- A reservation never changes without the totals: reserve() for a placement, release() for the end of
-- a quote, and adjust() for fills.

-- INCLUDE base

-- load_lease(lease_key) -> {accepted, returned, due} of a partition, or nil when one of them is missing
local function load_lease(lease_key)
  local accepted, returned, due = unpack(redis.call('HMGET', lease_key, 'accepted', 'returned', 'due'))
  if not (accepted and returned and due) then
    return nil
  end
  return { accepted = tonumber(accepted), returned = tonumber(returned), due = tonumber(due) }
end

-- load_exposure(exposure_key, limit_units, lease_key) -> {limit, most, bid, ask}, or nil when one of them is
-- missing. `most` is the configuration's limit, which only an operator writes: no other is above it. With
-- lease_key, which a partition has, the limit is its lease less what it owes.
local function load_exposure(exposure_key, limit_units, lease_key)
  local limit, bid, ask = unpack(redis.call('HMGET', exposure_key, 'limit_units', 'bid_units',
    'ask_units'))
  local bound = tonumber(limit)
  if lease_key then
    local lease = load_lease(lease_key)
    bound = lease and lease.accepted - math.max(lease.returned, lease.due)
  end
  if not (limit_units and bound and bid and ask) then
    return nil
  end
  local most = tonumber(limit_units)
  return { limit = math.min(bound, most), most = most, bid = tonumber(bid), ask = tonumber(ask) }
end

-- load_reservation(reservation_key) -> {bid, ask, quote_id, event_id} of a symbol's reservation.
-- Units are 0 where missing, quote_id is false, and event_id is 0-1, which no event has.
local function load_reservation(reservation_key)
  local bid, ask, quote_id, event_id = unpack(redis.call('HMGET', reservation_key, 'bid_units',
    'ask_units', 'quote_id', 'event_id'))
  return { bid = tonumber(bid) or 0, ask = tonumber(ask) or 0, quote_id = quote_id,
    event_id = event_id or '0-1' }
end

-- free_units(exposure, side, released) -> the units of the side, bid or ask, that are not reserved.
-- `released` are units that the total still counts, but that this script releases.
local function free_units(exposure, side, released)
  return exposure.limit - exposure[side] + released
end

-- adjust(exposure_key, bid, ask) adds to the totals the change of reservations: released units are
-- below 0.
local function adjust(exposure_key, bid, ask)
  redis.call('HINCRBY', exposure_key, 'bid_units', text(bid))
  redis.call('HINCRBY', exposure_key, 'ask_units', text(ask))
end

-- reserve(keys, symbol, old, sides, quote_id, event_id, expires_ms) replaces the units of the symbol's
-- reservation `old` by those of its new quote. `sides` has bid and ask, each with units, wanted_lots
-- (what the symbol would take) and lot_units; `event_id` is the quote event of the placement, and
-- `expires_ms` 0 when there is no new quote. `keys` has exposure and reservation.
local function reserve(keys, symbol, old, sides, quote_id, event_id, expires_ms)
  local bid, ask = sides.bid, sides.ask
  adjust(keys.exposure, bid.units - old.bid, ask.units - old.ask)
  redis.call('HSET', keys.reservation .. symbol, 'quote_id', quote_id, 'bid_units', text(bid.units),
    'ask_units', text(ask.units), 'expires_ms', text(expires_ms),
    'state', expires_ms == 0 and 'released' or 'active', 'bid_wanted_lots', text(bid.wanted_lots),
    'ask_wanted_lots', text(ask.wanted_lots), 'bid_lot_units', text(bid.lot_units),
    'ask_lot_units', text(ask.lot_units), 'event_id', event_id)
end

-- release(keys, symbol, old, state) empties the symbol's reservation `old`; `state` is its new state,
-- expired or released. `keys` has exposure and reservation.
local function release(keys, symbol, old, state)
  adjust(keys.exposure, -old.bid, -old.ask)
  redis.call('HSET', keys.reservation .. symbol, 'bid_units', '0', 'ask_units', '0', 'state', state)
end
