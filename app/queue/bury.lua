#!lua flags=allow-oom
-- started -> failed, with the reason, and with other arguments if any are given.
local token, id, reason, error_class, message, data, name, counted, span = unpack(ARGV, 2, 10)
if not take_lease(id, token) then return 0 end
if data ~= '' then redis.call('HSET', JOB .. id, 'data', data) end
redis.call('HINCRBY', JOB .. id, 'attempts', 1)
to_dead_letters(id, reason, error_class, message, span, {unpack(ARGV, 11)})
tally_job(name, 'buried', 1)
tally('buried:' .. reason, 1)
tally_all(counted)
return 1
