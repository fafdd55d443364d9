#!lua flags=allow-oom
-- started -> failed, with the reason.
local token, id, reason, error_class, message = unpack(ARGV, 2)
if not take_lease(id, token) then return 0 end
redis.call('HINCRBY', JOB .. id, 'attempts', 1)
to_dead_letters(id, reason, error_class, message)
return 1
