#!lua
-- absent -> queued, or scheduled if it is not due yet. A job of the status `revives` is put back: a
-- dead letter by a resend; a finished job by a backfill that finds the ledger without its event.
-- Refused as a whole if Redis is full: no flag allows more memory here.
local id, data, description, origin, timeout, delay, revives = unpack(ARGV, 2)
local status = redis.call('HGET', JOB .. id, 'status')
-- RQ's own requeue, killed halfway, leaves a failed job in no registry: this alone brings it back.
local nowhere = status == 'failed' and not redis.call('ZSCORE', FAILED, id)
if status and (status == revives or nowhere) then
  redis.call('ZREM', FAILED, id)
  redis.call('ZREM', FINISHED, id)
  redis.call('PERSIST', JOB .. id)
  redis.call('HSET', JOB .. id, 'data', data)  -- what was sent now is of today's form
  revive(id)
  return 'replayed'
end
if status then
  return 'duplicate'
end
redis.call('HSET', JOB .. id, 'data', data, 'description', description, 'origin', origin,
  'timeout', timeout, 'created_at', utc(), 'failure_ttl', -1)
if tonumber(delay) > 0 then
  redis.call('HSET', JOB .. id, 'status', 'scheduled')
  redis.call('SADD', QUEUES, QUEUE)
  redis.call('ZADD', SCHEDULED, string.format('%.6f', NOW + tonumber(delay)), id)
else
  to_queue(id)
end
return 'enqueued'
