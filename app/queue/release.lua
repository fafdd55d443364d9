#!lua flags=allow-oom
-- started -> queued where the lease has expired, or -> failed where that was once too often;
-- scheduled -> queued where it is due. At most `most` of each, so that no call is long.
local most, most_expiries = ARGV[2], tonumber(ARGV[3])
local released, buried, due = 0, 0, 0
for _, member in ipairs(redis.call('ZRANGE', STARTED, '-inf', string.format('%.6f', NOW + FAR),
    'BYSCORE', 'LIMIT', 0, most)) do
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
for _, id in ipairs(redis.call('ZRANGE', SCHEDULED, '-inf', string.format('%.6f', NOW),
    'BYSCORE', 'LIMIT', 0, most)) do
  redis.call('ZREM', SCHEDULED, id)
  if redis.call('EXISTS', JOB .. id) == 1 then
    to_queue(id)
    due = due + 1
  end
end
return {released, buried, due}
