#!lua flags=allow-oom
-- started -> queued, at the front: claimed, but not begun, by a worker that stops or is late.
local token = ARGV[2]
local given = 0
for i = #ARGV, 3, -1 do
  if take_lease(ARGV[i], token) then
    to_queue(ARGV[i], true)
    given = given + 1
  end
end
return given
