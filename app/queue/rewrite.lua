#!lua flags=allow-oom
-- A job that is failed or scheduled, or was when RQ's tools canceled it, stays in place with other
-- arguments: those of a redacted session, without the person.
local id, data = ARGV[2], ARGV[3]
local held = redis.call('ZSCORE', FAILED, id) or redis.call('ZSCORE', SCHEDULED, id)
if not (held or redis.call('ZSCORE', CANCELED, id)) then return 0 end
if redis.call('EXISTS', JOB .. id) == 0 then return 0 end
redis.call('HSET', JOB .. id, 'data', data)
return 1
