#!lua flags=allow-oom
-- started -> scheduled after `delay` seconds, with one attempt more.
local token, id, delay, error_class, message = unpack(ARGV, 2)
if not take_lease(id, token) then return 0 end
note_failure(id, error_class, message)
redis.call('HINCRBY', JOB .. id, 'attempts', 1)
redis.call('HSET', JOB .. id, 'status', 'scheduled')
redis.call('HDEL', JOB .. id, 'worker_name', 'started_at')
redis.call('ZADD', SCHEDULED, string.format('%.6f', NOW + tonumber(delay)), id)
return 1
