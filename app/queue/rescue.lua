#!lua flags=allow-oom
-- started -> queued, if the lease has expired or its holder is known to be dead; -> failed, if that
-- happened too often. At most `most` expired leases, so that no call is long.
local most, max_expiries, dead_holder = ARGV[2], tonumber(ARGV[3]), ARGV[4]
local expired, buried = 0, 0

local function end_lease(member)
  redis.call('ZREM', STARTED, member)
  local id = string.match(member, '^(.*):[^:]*$')
  if id and redis.call('HGET', JOB .. id, 'status') == 'started' then
    if redis.call('HINCRBY', JOB .. id, 'expiries', 1) >= max_expiries then
      to_dead_letters(id, 'crashed_worker', 'LeaseExpired',
        'its worker died or hung ' .. max_expiries .. ' times')
      buried = buried + 1
    else
      to_queue(id)
      expired = expired + 1
    end
  end
end

for _, member in ipairs(redis.call('ZRANGE', STARTED, '-inf', string.format('%.6f', NOW + FAR),
    'BYSCORE', 'LIMIT', 0, most)) do
  end_lease(member)
end
if dead_holder ~= '' then
  for _, member in ipairs(redis.call('ZRANGE', STARTED, 0, -1)) do
    local token = string.match(member, ':([^:]*)$')
    if token and string.sub(token, 1, #dead_holder) == dead_holder then end_lease(member) end
  end
end
return {expired, buried}
