-- For wrk: walks through a file of ready requests, each with its length in eight digits before it.
-- Its argument is that file. Tells what came of it in one line of JSON after "RESULT".
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(arguments)
  file = assert(io.open(arguments[1], "rb"))
  last = nil
  exhausted = 0
end

function request()
  local length = file:read(8)
  if length then
    last = file:read(tonumber(length))
  else
    exhausted = exhausted + 1
  end
  return last
end

function done(summary, latency, requests)
  local exhausted = 0
  for _, thread in ipairs(threads) do
    exhausted = exhausted + thread:get("exhausted")
  end
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "refused": %d, '
      .. '"broken": %d, "exhausted": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout, exhausted))
end
