#!lua flags=allow-oom
-- A dead letter stays in place with other arguments: those of a redacted session, without the person.
local id, data = ARGV[2], ARGV[3]
if not redis.call('ZSCORE', FAILED, id) or redis.call('EXISTS', JOB .. id) == 0 then return 0 end
redis.call('HSET', JOB .. id, 'data', data)
return 1
