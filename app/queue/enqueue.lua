#!lua
-- absent or lost -> queued, or scheduled if it is not due yet; any number of jobs, each taken or not by itself.
-- A job of the status `revives` is put back: a dead letter by a resend; a finished job by a backfill
-- that finds the ledger without its event.
-- Refused as a whole if Redis is full: no flag allows more memory here.
-- Deliveries of Stripe's are counted; what backfill and events themselves enqueue is not one.
local origin, timeout, revives, deliveries = ARGV[2], ARGV[3], ARGV[4], ARGV[5] == '1'

-- Whether nothing will ever run the job, nor show it among the dead letters. RQ's own words, `canceled`
-- and `stopped` among them, are such: what is to be gone for good is discarded, not canceled. The others
-- are left by RQ's tools that were killed halfway, or that emptied a list and kept its jobs.
local function lost(id, status)
  if status == 'failed' then return not redis.call('ZSCORE', FAILED, id) end
  if status == 'scheduled' then return not redis.call('ZSCORE', SCHEDULED, id) end
  -- Whether a list names it would take a search of all of it.
  if status == 'queued' then return redis.call('EXISTS', QUEUE) == 0 end
  if status == 'started' then return redis.call('EXISTS', STARTED) == 0 end
  return status ~= 'finished'
end

-- A worker that still runs what was canceled under it must not end the job's next run.
local function drop_leases(id)
  for _, member in ipairs(redis.call('ZRANGE', STARTED, 0, -1)) do
    if string.sub(member, 1, #id + 1) == id .. ':' then redis.call('ZREM', STARTED, member) end
  end
end

local function take(id, data, description, delay)
  local status, owner = unpack(redis.call('HMGET', JOB .. id, 'status', 'origin'))
  -- Ids share one space with those of every other RQ application in this database.
  if owner and owner ~= origin then return 'foreign' end
  local is_lost = status and lost(id, status)
  if is_lost or status and status == revives then
    if is_lost then drop_leases(id) end
    redis.call('ZREM', CANCELED, id)
    redis.call('ZREM', FAILED, id)
    redis.call('ZREM', FINISHED, id)
    redis.call('PERSIST', JOB .. id)
    -- What was sent now is of today's form; a finished job has kept no more than RQ shows of it.
    redis.call('HSET', JOB .. id, 'data', data, 'timeout', timeout)
    redis.call('HSETNX', JOB .. id, 'created_at', UTC)
    revive(id)
    return 'replayed'
  end
  if status then
    return 'duplicate'
  end
  -- Seven fields: with an eighth the server takes the next larger table, 180 bytes more.
  if tonumber(delay) > 0 then
    redis.call('HSET', JOB .. id, 'data', data, 'description', description, 'origin', origin,
      'timeout', timeout, 'created_at', UTC, 'status', 'scheduled')
    redis.call('ZADD', SCHEDULED, string.format('%.6f', NOW + tonumber(delay)), id)
    index('SADD', id)
  else
    redis.call('HSET', JOB .. id, 'data', data, 'description', description, 'origin', origin,
      'timeout', timeout, 'created_at', UTC, 'status', 'queued', 'enqueued_at', UTC)
    redis.call('RPUSH', QUEUE, id)
    wake_a_worker()
  end
  return 'enqueued'
end

-- Without a job, as probes ask whether one would be taken, nothing is written.
if #ARGV > 5 then redis.call('SADD', QUEUES, QUEUE) end
local answers, outcomes = {}, {}
for i = 6, #ARGV, 4 do
  -- A key of another type, say, must not leave the jobs after it untaken and untold.
  local ok, answer = pcall(take, ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
  if not ok then
    answer = {err = type(answer) == 'table' and answer.err or tostring(answer)}
  end
  answers[#answers + 1] = answer
  local outcome = (not ok or answer == 'foreign') and 'refused' or answer
  outcomes[outcome] = (outcomes[outcome] or 0) + 1
end
if deliveries then
  for outcome, jobs in pairs(outcomes) do tally('delivery:' .. outcome, jobs) end
end
return answers
