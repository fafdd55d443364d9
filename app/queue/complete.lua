#!lua flags=allow-oom
-- started -> finished, kept for `keep` seconds as a cheap duplicate, without its arguments.
local token, keep, empty = ARGV[2], tonumber(ARGV[3]), ARGV[4]
local completed = 0
for i = 5, #ARGV do
  local id = ARGV[i]
  if take_lease(id, token) then
    redis.call('HSET', JOB .. id, 'status', 'finished', 'ended_at', utc(), 'data', empty)
    redis.call('EXPIRE', JOB .. id, keep)
    redis.call('ZADD', FINISHED, string.format('%.6f', NOW + keep), id)
    completed = completed + 1
  end
end
if completed > 0 then
  redis.call('ZREMRANGEBYSCORE', FINISHED, 0, NOW)
  count('successful_job_count', completed)
end
return completed
