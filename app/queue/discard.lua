#!lua flags=allow-oom
-- failed -> gone. The caller has written why to the timeline.
local discarded = 0
for i = 2, #ARGV do
  if redis.call('ZREM', FAILED, ARGV[i]) == 1 then
    index('SREM', ARGV[i])
    redis.call('DEL', JOB .. ARGV[i], RESULTS .. ARGV[i])
    discarded = discarded + 1
  end
end
return discarded
