#!lua flags=allow-oom
-- queued -> started, up to `most` jobs under one lease.
local token, lease, most, worker = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local score = string.format('%.6f', NOW + lease + FAR)
local claimed, leases = {}, {}
local ids = redis.call('LPOP', QUEUE, most) or {}
local taken = 0
for _, id in ipairs(ids) do
  local job = redis.call('HMGET', JOB .. id, 'status', 'data', 'attempts', 'expiries')
  if job[1] == 'queued' then  -- else it was deleted or moved by another tool: nothing to run
    local suspect = job[4] and tonumber(job[4]) > 0
    -- A job that has outlived a worker runs alone, so that no other is blamed for its next.
    if suspect and #claimed > 0 then break end
    redis.call('HSET', JOB .. id, 'status', 'started', 'worker_name', worker, 'started_at', UTC,
      'last_heartbeat', UTC)
    leases[#leases + 1] = score
    leases[#leases + 1] = id .. ':' .. token
    claimed[#claimed + 1] = {id, job[2] or '', job[3] or '0'}
    if suspect then
      taken = taken + 1
      break
    end
  end
  taken = taken + 1
end
for i = #ids, taken + 1, -1 do redis.call('LPUSH', QUEUE, ids[i]) end
if #claimed > 0 then
  redis.call('ZADD', STARTED, unpack(leases))
  if redis.call('EXISTS', WORKER) == 1 then
    redis.call('HSET', WORKER, 'state', 'busy', 'last_heartbeat', UTC)
  end
end
return claimed
