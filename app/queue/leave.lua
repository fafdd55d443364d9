#!lua flags=allow-oom
-- started -> scheduled after `delay` seconds: for a worker of another release. It was not tried, so
-- no attempt is counted, and nothing of it is changed. What it is, only a later release knows.
local token, id, delay = ARGV[2], ARGV[3], tonumber(ARGV[4])
if not take_lease(id, token) then return 0 end
to_schedule(id, delay)
tally_job('other', 'left', 1)
return 1
