-- Shared by every transition; put before each script's own text when it is loaded.
-- KEYS[1..14] and ARGV[1] are the same in all of them, so that a script reads by name.
local QUEUE, QUEUES, STARTED = KEYS[1], KEYS[2], KEYS[3]
local SCHEDULED, FAILED, FINISHED, WORKER = KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local CANCELED, RESULTS, CLAIM = KEYS[8], KEYS[9], KEYS[10]
local COUNTS, BY_SESSION, IDLE, WAKE = KEYS[11], KEYS[12], KEYS[13], KEYS[14]
local NO_KEY = 'identity:no_key'
local JOB = ARGV[1]

-- RQ's readers fail a started job whose score is past, without a lock. A lease is therefore kept
-- ten years on; only `release` takes the ten years off again.
local FAR = 315360000

local clock = redis.call('TIME')
local NOW = tonumber(clock[1]) + tonumber(clock[2]) / 1000000

-- RQ keeps times as text. Days to a date: Howard Hinnant's `civil_from_days`, for years from 1970.
local function utc_text()
  local seconds = tonumber(clock[1])
  local z = math.floor(seconds / 86400) + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524)
    - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local day = doy - math.floor((153 * mp + 2) / 5) + 1
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  local rest = seconds % 86400
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%06dZ', year, month, day,
    math.floor(rest / 3600), math.floor(rest / 60) % 60, rest % 60, tonumber(clock[2]))
end
local UTC = utc_text()

-- What is scheduled or failed is found by its session, in whose id the description ends: a redaction
-- has to find it without reading all others. Nothing else is indexed, so most jobs never are.
local function index(command, id)
  if BY_SESSION == NO_KEY then return end
  local session = string.match(redis.call('HGET', JOB .. id, 'description') or '', '%S+$')
  if session then redis.call(command, BY_SESSION .. session, id) end
end

-- Takes the job from the worker that holds this lease. False if the lease is no longer its own,
-- or RQ's tools have deleted or cancelled the job meanwhile: they know nothing of leases.
-- Else the job's status, and the other fields asked for.
local function take_lease(id, token, ...)
  if redis.call('ZREM', STARTED, id .. ':' .. token) == 0 then return false end
  local job = redis.call('HMGET', JOB .. id, 'status', ...)
  return job[1] == 'started' and job
end

-- Wakes one of the workers that wait, the one that came last: what it works with is still in the processor's
-- caches. Were all of them woken for one job, they would take the processors from the one that gets it. A call
-- looks once and wakes no more than one, which wakes the next if it leaves jobs behind. Should it be dead, the
-- others look by themselves after a while.
local looked = false
local function wake_a_worker()
  if looked then return end
  looked = true
  local worker = redis.pcall('LPOP', IDLE)
  if type(worker) ~= 'string' then return end
  redis.pcall('RPUSH', WAKE .. worker, '')
  redis.pcall('EXPIRE', WAKE .. worker, 60)
end

-- Fields that are named after `front` are removed too. RQ's set of queues needs each name once a call.
local listed = false
local function to_queue(id, front, ...)
  index('SREM', id)
  redis.call('HSET', JOB .. id, 'status', 'queued', 'enqueued_at', UTC)
  redis.call('HDEL', JOB .. id, 'worker_name', 'started_at', 'ended_at', ...)
  if not listed then redis.call('SADD', QUEUES, QUEUE) end
  listed = true
  redis.call(front and 'LPUSH' or 'RPUSH', QUEUE, id)
  wake_a_worker()
end

local function to_schedule(id, delay)
  redis.call('HSET', JOB .. id, 'status', 'scheduled')
  redis.call('HDEL', JOB .. id, 'worker_name', 'started_at')
  index('SADD', id)
  redis.call('ZADD', SCHEDULED, string.format('%.6f', NOW + delay), id)
end

-- `span` is that of the attempt, where traces are on: the next one links to it.
local function note_failure(id, error_class, message, span)
  redis.call('HSETNX', JOB .. id, 'first_failed_at', UTC)
  redis.call('HSET', JOB .. id, 'last_failed_at', UTC, 'error_class', error_class,
    'error', message)
  if span ~= '' then redis.call('HSET', JOB .. id, 'failed_span', span) end
end

-- A worker that RQ has forgotten meanwhile is not brought back as a half-filled hash.
local function count(field, by)
  if redis.call('EXISTS', WORKER) == 1 then redis.call('HINCRBY', WORKER, field, by) end
end

-- Metrics are counted in the step that they tell of, so none of it is missed, and none counted twice.
-- Whatever stands under their key, they keep no job from moving: hence `pcall`.
local function tally(field, by)
  redis.pcall('HINCRBY', COUNTS, field, string.format('%.0f', by))
end

-- What a worker has counted itself, as JSON.
local function tally_all(counted)
  if counted == '' then return end
  for field, by in pairs(cjson.decode(counted)) do tally(field, by) end
end

-- Stripe's codes are an open set, which must not fill a server: once there are many, new ones share a name.
local function tally_job(name, outcome, by)
  local field = 'job:' .. name .. ':' .. outcome
  if redis.pcall('HEXISTS', COUNTS, field) == 0 and redis.pcall('HLEN', COUNTS) >= 300 then
    local known = string.match(name, '^(.-)/')
    field = 'job:' .. (known and known .. '/' or '') .. 'other:' .. outcome
  end
  tally(field, by)
end

-- The score is minus the time of death: RQ clears away scores from 0 to now, and the newest dead
-- letter comes first. `result` is what RQ's readers and dashboards show: a Result's names and values.
local function to_dead_letters(id, reason, error_class, message, span, result)
  note_failure(id, error_class, message, span)
  -- Kept for ever, by RQ's word for it.
  redis.call('HSET', JOB .. id, 'status', 'failed', 'failure_ttl', -1, 'ended_at', UTC, 'reason', reason)
  redis.call('DEL', RESULTS .. id)
  redis.call('XADD', RESULTS .. id, '*', unpack(result))
  redis.call('ZADD', FAILED, string.format('%.6f', -NOW), id)
  index('SADD', id)
  count('failed_job_count', 1)
end

-- Nothing of what the job has been through counts any more.
local PAST = {'attempts', 'timeouts', 'expiries', 'reason', 'first_failed_at'}

local function begin_anew(id)
  redis.call('HDEL', JOB .. id, 'ended_at', unpack(PAST))
  redis.call('DEL', RESULTS .. id)
end

local function revive(id)
  redis.call('DEL', RESULTS .. id)
  to_queue(id, false, unpack(PAST))
end
