-- Asks for the addresses of a file in turn, with the token of the environment.
local paths, next_path = {}, 0
for line in io.lines(os.getenv("BENCH_PATHS")) do paths[#paths + 1] = line end
local headers = { Authorization = "Bearer " .. os.getenv("BENCH_TOKEN") }
request = function()
    next_path = next_path % #paths + 1
    return wrk.format("GET", paths[next_path], headers)
end
local threads = {}
setup = function(thread) threads[#threads + 1] = thread end
done = function(summary, latency, _)
    io.write(string.format("RESULT %d %d %d %d %d %d\n", summary.requests, summary.duration,
        latency:percentile(50), latency:percentile(99), latency.max,
        summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout))
end
