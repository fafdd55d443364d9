#!lua flags=allow-oom
-- started -> queued, if the lease has expired or its holder is known to be dead. Where that happened too
-- often, the job stays started, under a lease of whoever asks: what it did may be committed, and only
-- the ledger knows. At most `most` expired leases, so that no call is long.
local most, max_expiries, dead_holder = ARGV[2], tonumber(ARGV[3]), ARGV[4]
local token, lease = ARGV[5], tonumber(ARGV[6])
local expired, suspects = 0, {}
local ended = {expired = 0, worker_died = 0}

local function end_lease(member, cause)
  redis.call('ZREM', STARTED, member)
  local id = string.match(member, '^(.*):[^:]*$')
  local job = id and redis.call('HMGET', JOB .. id, 'status', 'data', 'attempts')
  if not job or job[1] ~= 'started' then return end
  ended[cause] = ended[cause] + 1
  if redis.call('HINCRBY', JOB .. id, 'expiries', 1) >= max_expiries then
    redis.call('ZADD', STARTED, string.format('%.6f', NOW + lease + FAR), id .. ':' .. token)
    suspects[#suspects + 1] = {id, job[2] or '', job[3] or '0'}
  else
    to_queue(id)
    expired = expired + 1
  end
end

for _, member in ipairs(redis.call('ZRANGE', STARTED, '-inf', string.format('%.6f', NOW + FAR),
    'BYSCORE', 'LIMIT', 0, most)) do
  end_lease(member, 'expired')
end
if dead_holder ~= '' then
  for _, member in ipairs(redis.call('ZRANGE', STARTED, 0, -1)) do
    local holder = string.match(member, ':([^:]*)$')
    if holder and string.sub(holder, 1, #dead_holder) == dead_holder then end_lease(member, 'worker_died') end
  end
end
for cause, leases in pairs(ended) do
  if leases > 0 then tally('lease:' .. cause, leases) end
end
return {expired, suspects}
