#!lua flags=no-writes
-- What waits to be tried again, by the class of its last error: how many, since when, and what the one
-- says that has failed for longest. `half` of the jobs are looked at that are due soonest, and `half` that
-- are due last, as what has failed for long waits for long: so no call is long, however many there are.
local registry, prefix, half = KEYS[1], ARGV[1], tonumber(ARGV[2])
local size = redis.call('ZCARD', registry)
local by_class, reasons = {}, {}

local function look_at(id)
  local failed, class, error, enqueued, created = unpack(redis.call('HMGET', prefix .. id,
    'first_failed_at', 'error_class', 'error', 'enqueued_at', 'created_at'))
  -- What has never been in the queue is not due yet. What was there and has not failed was left.
  if not (failed or enqueued) then return end
  local since = failed or created or enqueued
  local reason = by_class[class or '']
  if not reason then
    reason = {class or '', 0, since, error or ''}
    by_class[class or ''] = reason
    reasons[#reasons + 1] = reason
  end
  reason[2] = reason[2] + 1
  -- Our times are texts of one length, whose order is that of time.
  if since < reason[3] then
    reason[3], reason[4] = since, error or ''
  end
end

local soonest = redis.call('ZRANGE', registry, 0, half - 1)
local last = redis.call('ZRANGE', registry, math.max(half, size - half), -1)
for _, id in ipairs(soonest) do look_at(id) end
for _, id in ipairs(last) do look_at(id) end
return {redis.call('TIME'), size, reasons}
