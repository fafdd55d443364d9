#!lua flags=allow-oom
-- started -> scheduled after `delay` seconds, with one attempt more, and so many timeouts more; with
-- other arguments if any are given.
local token, id, delay, error_class, message, data, timeouts, name, counted, span = unpack(ARGV, 2)
if not take_lease(id, token) then return 0 end
if data ~= '' then redis.call('HSET', JOB .. id, 'data', data) end
note_failure(id, error_class, message, span)
redis.call('HINCRBY', JOB .. id, 'attempts', 1)
if timeouts ~= '0' then redis.call('HINCRBY', JOB .. id, 'timeouts', timeouts) end
to_schedule(id, tonumber(delay))
tally_job(name, 'deferred', 1)
tally_all(counted)
return 1
