#!lua flags=allow-oom
-- failed -> queued, with its attempts reset.
local replayed = 0
for i = 2, #ARGV do
  if redis.call('ZREM', FAILED, ARGV[i]) == 1 and redis.call('EXISTS', JOB .. ARGV[i]) == 1 then
    revive(ARGV[i])
    replayed = replayed + 1
  end
end
return replayed
