-- For wrk: asks POST /route with the lines of a file, in turn, and writes one JSON object at the end.
-- The first argument is the file, the second how many of its lines to leave out at the beginning.
local requests, place = {}, 0

function init(arguments)
  local skipped = tonumber(arguments[2])
  local headers = { ["Content-Type"] = "application/json" }
  for line in io.lines(arguments[1]) do
    local text = line:gsub('[\\"]', "\\%0")
    table.insert(requests, wrk.format("POST", "/route", headers, '{"text": "' .. text .. '"}'))
  end
  place = skipped % #requests
end

function request()
  place = place % #requests + 1
  return requests[place]
end

function done(summary, latency)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  local answered = summary.requests - summary.errors.status
  io.stderr:write(string.format(
    '{"per_second": %.3f, "answered": %d, "refused": %d, "failed": %d, "ms": {"p50": %.3f, "p95": %.3f, "p99": %.3f}}\n',
    answered / (summary.duration / 1e6), answered, summary.errors.status, failed,
    latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3))
end
