#!lua flags=allow-oom
-- queued -> started, up to `most` jobs under one lease, which `token` names: a new one for each claim.
local token, lease, most, worker = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local waits = ARGV[6] == '1'  -- the worker, if nothing is claimed
local score = string.format('%.6f', NOW + lease + FAR)
local claimed, leases = {}, {}

-- A claim that is made again, as its answer was lost, is answered as before: what it took would else
-- wait for the end of its lease, and count as a job that has lost its worker.
if CLAIM ~= NO_KEY and redis.call('GET', CLAIM) == token then
  for _, member in ipairs(redis.call('ZRANGE', STARTED, 0, -1)) do
    if string.sub(member, -#token - 1) == ':' .. token then
      local id = string.sub(member, 1, -#token - 2)
      local job = redis.call('HMGET', JOB .. id, 'status', 'data', 'attempts', 'failed_span')
      if job[1] == 'started' then claimed[#claimed + 1] = {id, job[2] or '', job[3] or '0', job[4] or nil} end
    end
  end
  if #claimed > 0 then return claimed end
end

local ids = redis.call('LPOP', QUEUE, most) or {}
local taken = 0
for _, id in ipairs(ids) do
  local job = redis.call('HMGET', JOB .. id, 'status', 'data', 'attempts', 'expiries',
    'ended_at', 'failed_span')
  if job[1] == 'queued' then  -- else it was deleted or moved by another tool: nothing to run
    -- Only RQ's own tools leave this field in a job that they queue: they know nothing of our counts.
    if job[5] then
      begin_anew(id)
      index('SREM', id)
      job[3], job[4] = false, false
    end
    local suspect = job[4] and tonumber(job[4]) > 0
    -- A job that has outlived a worker runs alone, so that no other is blamed for its next.
    if suspect and #claimed > 0 then break end
    redis.call('HSET', JOB .. id, 'status', 'started', 'worker_name', worker, 'started_at', UTC,
      'last_heartbeat', UTC)
    leases[#leases + 1] = score
    leases[#leases + 1] = id .. ':' .. token
    claimed[#claimed + 1] = {id, job[2] or '', job[3] or '0', job[6] or nil}
    if suspect then
      taken = taken + 1
      break
    end
  end
  taken = taken + 1
end
for i = #ids, taken + 1, -1 do redis.call('LPUSH', QUEUE, ids[i]) end
if #claimed > 0 then
  redis.pcall('LREM', IDLE, 0, worker)
  redis.call('ZADD', STARTED, unpack(leases))
  if CLAIM ~= NO_KEY then redis.call('SET', CLAIM, token, 'PX', math.ceil(lease * 1000)) end
  if redis.call('EXISTS', WORKER) == 1 then
    redis.call('HSET', WORKER, 'state', 'busy', 'last_heartbeat', UTC)
  end
elseif waits and not redis.pcall('LPOS', IDLE, worker) then  -- else it has said so before
  redis.pcall('LPUSH', IDLE, worker)
  redis.pcall('LTRIM', IDLE, 0, 999)  -- workers that were killed gather at its end
  if redis.call('HGET', WORKER, 'state') == 'busy' then redis.call('HSET', WORKER, 'state', 'idle') end
end
if redis.call('LLEN', QUEUE) > 0 then wake_a_worker() end
return claimed
