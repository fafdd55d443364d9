#!lua flags=allow-oom
-- started -> queued where the lease has expired, or its holder is known to be dead; -> failed where
-- that was once too often; scheduled -> queued where it is due. At most `most` of each, so that no
-- call is long.
local most, most_expiries, dead_holder = ARGV[2], tonumber(ARGV[3]), ARGV[4]
local released, buried, due = 0, 0, 0

local function end_lease(member)
  redis.call('ZREM', STARTED, member)
  local id = string.match(member, '^(.*):[^:]*$')
  if id and redis.call('HGET', JOB .. id, 'status') == 'started' then
    if redis.call('HINCRBY', JOB .. id, 'expiries', 1) >= most_expiries then
      to_dead_letters(id, 'crashed_worker', 'LeaseExpired',
        'its worker died or hung ' .. most_expiries .. ' times')
      buried = buried + 1
    else
      to_queue(id)
      released = released + 1
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
for _, id in ipairs(redis.call('ZRANGE', SCHEDULED, '-inf', string.format('%.6f', NOW),
    'BYSCORE', 'LIMIT', 0, most)) do
  redis.call('ZREM', SCHEDULED, id)
  if redis.call('EXISTS', JOB .. id) == 1 then
    to_queue(id)
    due = due + 1
  end
end
return {released, buried, due}
