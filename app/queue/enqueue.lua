#!lua
-- absent -> queued, or scheduled if it is not due yet; any number of jobs, each taken or not by itself.
-- A job of the status `revives` is put back: a dead letter by a resend; a finished job by a backfill
-- that finds the ledger without its event.
-- Refused as a whole if Redis is full: no flag allows more memory here.
local origin, timeout, revives = ARGV[2], ARGV[3], ARGV[4]

local function take(id, data, description, delay)
  local status = redis.call('HGET', JOB .. id, 'status')
  -- RQ's own requeue, killed halfway, leaves a failed job in no registry: this alone brings it back.
  local nowhere = status == 'failed' and not redis.call('ZSCORE', FAILED, id)
  if status and (status == revives or nowhere) then
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
  else
    redis.call('HSET', JOB .. id, 'data', data, 'description', description, 'origin', origin,
      'timeout', timeout, 'created_at', UTC, 'status', 'queued', 'enqueued_at', UTC)
    redis.call('RPUSH', QUEUE, id)
  end
  return 'enqueued'
end

redis.call('SADD', QUEUES, QUEUE)
local answers = {}
for i = 5, #ARGV, 4 do
  -- A key of another type, say, must not leave the jobs after it untaken and untold.
  local ok, answer = pcall(take, ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
  if not ok then
    answer = {err = type(answer) == 'table' and answer.err or tostring(answer)}
  end
  answers[#answers + 1] = answer
end
return answers
