#!lua flags=allow-oom
-- A dead letter stays where it is and holds other arguments: a redacted session's, less its person.
local id, data = ARGV[2], ARGV[3]
if not redis.call('ZSCORE', FAILED, id) or redis.call('EXISTS', JOB .. id) == 0 then return 0 end
redis.call('HSET', JOB .. id, 'data', data)
return 1
