-- Posts the bodies of a file in turn and prints what was measured as one line of JSON.
-- WRK_BODIES: one body a line. WRK_HEADERS: one "Name: value" a line; from the environment, since the
-- key must not show in the list of processes.

local requests, turn = {}, 0

function init()
   wrk.headers["Content-Type"] = "application/json"
   for name, value in os.getenv("WRK_HEADERS"):gmatch("([^:\n]+): ([^\n]+)") do
      wrk.headers[name] = value
   end
   for body in io.lines(os.getenv("WRK_BODIES")) do
      requests[#requests + 1] = wrk.format("POST", nil, nil, body)
   end
end

function request()
   turn = turn % #requests + 1
   return requests[turn]
end

function done(summary, latency)
   local errors = summary.errors
   print(string.format(
      '{"requests": %d, "seconds": %.6f, "p50_us": %d, "p99_us": %d, "p999_us": %d, "mean_us": %.1f, ' ..
      '"max_us": %d, "non_2xx": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d}',
      summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
      latency:percentile(99.9), latency.mean, latency.max, errors.status, errors.connect, errors.read,
      errors.write, errors.timeout))
end
