#!lua flags=allow-oom
-- started -> finished, kept for `keep` seconds as a cheap duplicate: of its fields only what RQ shows,
-- and without its arguments. `kinds` has each job's name and when Stripe created it, for the metrics.
local token, keep, empty = ARGV[2], tonumber(ARGV[3]), ARGV[4]
local bounds, counted, kinds = cjson.decode(ARGV[5]), ARGV[6], cjson.decode(ARGV[7])
local expiry = string.format('%.6f', NOW + keep)
local finished, named, lags, lag_sum = {}, {}, {}, 0

local function observe(lag)
  local bucket = 'inf'
  for _, bound in ipairs(bounds) do
    if lag <= bound then
      bucket = bound
      break
    end
  end
  lags[bucket] = (lags[bucket] or 0) + 1
  lag_sum = lag_sum + lag
end

for i = 8, #ARGV do
  local id, name, created = ARGV[i], kinds[2 * i - 15] or 'other', kinds[2 * i - 14] or 0
  local kept = take_lease(id, token, 'description', 'origin')
  if kept then
    -- A hash that held a long value stays in its large form: a new one is a third of its size.
    redis.call('DEL', JOB .. id)
    redis.call('HSET', JOB .. id, 'status', 'finished', 'data', empty, 'ended_at', UTC,
      'description', kept[2] or '', 'origin', kept[3] or '')
    redis.call('EXPIRE', JOB .. id, keep)
    finished[#finished + 1] = expiry
    finished[#finished + 1] = id
    named[name] = (named[name] or 0) + 1
    if created > 0 then observe(math.max(0, NOW - created)) end
  end
end
local count_finished = #finished / 2
if count_finished > 0 then
  redis.call('ZADD', FINISHED, unpack(finished))
  -- Twice as many as come in, so that none pile up, and no call is long.
  local old = redis.call('ZRANGE', FINISHED, 0, string.format('%.6f', NOW), 'BYSCORE', 'LIMIT', 0,
    2 * count_finished + 10)
  if #old > 0 then redis.call('ZREM', FINISHED, unpack(old)) end
  count('successful_job_count', count_finished)
  redis.call('HINCRBY', 'identity:completed', QUEUE, count_finished)
  for name, jobs in pairs(named) do tally_job(name, 'completed', jobs) end
  for bound, events in pairs(lags) do tally('lag:le:' .. bound, events) end
  if lag_sum > 0 then tally('lag:sum', lag_sum * 1000) end
  tally_all(counted)
end
return count_finished
