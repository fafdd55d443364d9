#!lua flags=allow-oom
-- queued -> started, up to `most` jobs under one lease.
local token, lease, most, worker = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local score = string.format('%.6f', NOW + lease + FAR)
local claimed = {}
while #claimed < most do
  local id = redis.call('LPOP', QUEUE)
  if not id then break end
  local job = redis.call('HMGET', JOB .. id, 'status', 'data', 'attempts', 'expiries')
  if job[1] == 'queued' then  -- else it was deleted or moved by another tool: nothing to run
    local suspect = job[4] and tonumber(job[4]) > 0
    -- A job that has outlived a worker runs alone, so that no other is blamed for its next.
    if suspect and #claimed > 0 then
      redis.call('LPUSH', QUEUE, id)
      break
    end
    redis.call('HSET', JOB .. id, 'status', 'started', 'worker_name', worker, 'started_at', utc(),
      'last_heartbeat', utc())
    redis.call('ZADD', STARTED, score, id .. ':' .. token)
    claimed[#claimed + 1] = {id, job[2] or '', job[3] or '0'}
    if suspect then break end
  end
end
if #claimed > 0 and redis.call('EXISTS', WORKER) == 1 then
  redis.call('HSET', WORKER, 'state', 'busy', 'last_heartbeat', utc())
end
return claimed
