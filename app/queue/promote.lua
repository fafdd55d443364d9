#!lua flags=allow-oom
-- scheduled -> queued, if it is due. At most `most`, so that no call is long.
local promoted = 0
for _, id in ipairs(redis.call('ZRANGE', SCHEDULED, '-inf', string.format('%.6f', NOW),
    'BYSCORE', 'LIMIT', 0, ARGV[2])) do
  redis.call('ZREM', SCHEDULED, id)
  if redis.call('EXISTS', JOB .. id) == 1 then
    to_queue(id)
    promoted = promoted + 1
  end
end
return promoted
