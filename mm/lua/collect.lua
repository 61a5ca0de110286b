#!lua
-- Take the orders that wait in the clients' inboxes into the stream of orders, in one atomic step.
--
-- A client may append to its own inbox and to no other stream. So who has sent an order there is known,
-- and an order that names another client is refused. When more orders wait than one step takes, each
-- client that waits has an equal share of the step: a flood of one does not hold up the others.
--
-- KEYS   clients orders inbox:* deadletter reports:*
-- READS  config
-- ARGV   1 max_orders: integer > 0, orders to take at most; an entry is never split, and of each client
--        that waits the first entry is taken
-- REPLY  {orders, refused, more(0/1)}; refused: how many of the orders name another client
-- ERRORS DAMAGED (a required key is missing)
-- EMITS  orders; for a refused order reports:<client_id> of its sender, and deadletter

-- INCLUDE base
-- INCLUDE damage
-- INCLUDE streams
-- INCLUDE order
-- INCLUDE reports
-- INCLUDE deadletter
local READS, ARGV = take_reads(1)
local clients_key, orders_key, inbox_prefix, deadletter_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local reports_prefix, max_orders = KEYS[5], tonumber(ARGV[1])
local now = now_ms()
local keep_reports, report_idle_ms, keep_deadletters = unpack(redis.call('HMGET', READS[1],
  'keep_reports', 'report_idle_ms', 'keep_deadletters'))
if not keep_reports then
  return damaged(READS[1])
end
local waiting, clients = {}, redis.call('HGETALL', clients_key)
for index = 1, #clients, 2 do
  local inbox = inbox_prefix .. clients[index]
  if redis.call('XLEN', inbox) > 0 then
    waiting[#waiting + 1] = { client = clients[index], inbox = inbox,
      taken = tonumber(string.match(clients[index + 1], '%d+')) }
  end
end
-- Of each client the first entry is taken in any case, also with a share of 0.
local share, any_more = math.floor(max_orders / #waiting), false
for _, one in ipairs(waiting) do
  local more
  one.entries, one.orders, more = next_entries(one.inbox, '0-0', share)
  any_more = any_more or more
end

-- Writes start here.
local orders, refused, reports, dead_letters = 0, 0, {}, {}
for _, one in ipairs(waiting) do
  local entry_ids = {}
  for index, entry in ipairs(one.entries) do
    local own, fields = {}, entry[2]
    entry_ids[index] = entry[1]
    for place = 1, #fields, 2 do
      local order_id, line = fields[place], fields[place + 1]
      if string.match(line, '^%S+') == one.client then
        own[#own + 1], own[#own + 2] = order_id, line
      else
        refused = refused + 1
        dead_letters[#dead_letters + 1] = { entry_id = entry[1], reason = 'foreign_client',
          raw = order_id .. ' ' .. line }
        add_report(reports, one.client, is_id(order_id) and order_id or '-',
          'rejected foreign_client 0 - - - 0 ' .. text(now), true)
      end
    end
    append(orders_key, own, nil)
  end
  orders = orders + one.orders
  redis.call('XDEL', one.inbox, unpack(entry_ids))
  redis.call('HSET', clients_key, one.client, text(one.taken + one.orders) .. ' ' .. text(now))
  send_dead_letters(deadletter_key, 'inbox:' .. one.client, dead_letters, keep_deadletters)
  dead_letters = {}
end
send_reports(reports_prefix, reports, keep_reports, report_idle_ms)
return { orders, refused, any_more and 1 or 0 }
