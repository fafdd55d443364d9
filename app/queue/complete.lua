#!lua flags=allow-oom
-- started -> finished, kept for `keep` seconds as a cheap duplicate: of its fields only what RQ shows,
-- and without its arguments.
local token, keep, empty = ARGV[2], tonumber(ARGV[3]), ARGV[4]
local expiry = string.format('%.6f', NOW + keep)
local finished = {}
for i = 5, #ARGV do
  local id = ARGV[i]
  local kept = take_lease(id, token, 'description', 'origin')
  if kept then
    -- A hash that held a long value stays in its large form: a new one is a third of its size.
    redis.call('DEL', JOB .. id)
    redis.call('HSET', JOB .. id, 'status', 'finished', 'data', empty, 'ended_at', UTC,
      'description', kept[2] or '', 'origin', kept[3] or '')
    redis.call('EXPIRE', JOB .. id, keep)
    finished[#finished + 1] = expiry
    finished[#finished + 1] = id
  end
end
local count_finished = #finished / 2
if count_finished > 0 then
  redis.call('ZADD', FINISHED, unpack(finished))
  -- Twice as many as come in, so that none pile up, and no call is long.
  local old = redis.call('ZRANGE', FINISHED, 0, string.format('%.6f', NOW), 'BYSCORE', 'LIMIT', 0,
    2 * count_finished + 10)
  if #old > 0 then redis.call('ZREM', FINISHED, unpack(old)) end
  count('successful_job_count', count_finished)
end
return count_finished
