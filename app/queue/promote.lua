#!lua flags=allow-oom
-- scheduled -> queued: what is due, at most `most`, so that no call is long; or the jobs that are
-- named, due or not.
local ids = {unpack(ARGV, 3)}
if #ids == 0 then
  ids = redis.call('ZRANGE', SCHEDULED, '-inf', string.format('%.6f', NOW),
    'BYSCORE', 'LIMIT', 0, ARGV[2])
end
local promoted = 0
for _, id in ipairs(ids) do
  if redis.call('ZREM', SCHEDULED, id) == 1 and redis.call('EXISTS', JOB .. id) == 1 then
    to_queue(id)
    promoted = promoted + 1
  end
end
return promoted
