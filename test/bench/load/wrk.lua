-- Sends the plan in the file that is the first argument after "--" (package load, plan.go), with one thread.
local ffi = require("ffi")
ffi.cdef [[ typedef struct { long s; long us; } grantor_time; int gettimeofday(grantor_time *t, void *zone); ]]
local function now()
  local t = ffi.new("grantor_time")
  ffi.C.gettimeofday(t, nil)
  return tonumber(t.s) + tonumber(t.us) / 1e6
end

local threads = {}
function setup(thread) table.insert(threads, thread) end

failed, ended = 0, 0 -- read by done
local requests, at, last, heads, prefixes, bearer = {}, 0, 0, {}, {}, {}

local function compose(kind, value)
  if bearer[kind] then return heads[kind] .. value .. "\r\n\r\n" end
  local body = prefixes[kind] .. value
  return heads[kind] .. #body .. "\r\n\r\n" .. body
end

function init(args)
  local file = assert(io.open(args[1]))
  local mode, kinds = file:read("*l"):match("^(%a+) (%d+)$")
  for i = 1, tonumber(kinds) do
    local form, head, prefix = file:read("*l"):match("^(%a+)\t(.-)\t(.*)$")
    heads[i], prefixes[i], bearer[i] = head:gsub("\\r\\n", "\r\n"), prefix, form == "bearer"
  end
  for line in file:lines() do
    local kind, value = line:match("^(%d+) (.*)$")
    requests[#requests + 1] = compose(tonumber(kind), value)
  end
  file:close()
  last = #requests
  if mode == "cycle" then request = cycle elseif mode == "once" then request = once else
    request, response = chain, follow
  end
end

function cycle()
  at = at % #requests + 1
  return requests[at]
end

function once()
  if at == #requests then
    if ended == 0 then
      ended = now()
      wrk.thread:stop()
    end
    return requests[at]
  end
  at = at + 1
  return requests[at]
end

-- Chains wait in a queue: an answer puts its refresh token at the end, the next request takes one from the front.
function chain()
  at = at + 1
  local first = requests[at]
  requests[at] = nil
  return first or compose(1, "lost")
end

function follow(status, headers, body)
  local token = status == 200 and body:match('"refresh_token":"([^"]+)"')
  if not token then
    failed = failed + 1
    token = "lost"
  end
  last = last + 1
  requests[last] = compose(1, token)
end

function done(summary, latency)
  local e, ended = summary.errors, threads[1]:get("ended")
  io.write(string.format(
    'RESULT {"requests":%d,"seconds":%.6f,"ended":%.6f,"p50":%d,"p99":%d,"max":%d,"status":%d,"socket":%d,"body":%d}\n',
    summary.requests, summary.duration / 1e6, ended > 0 and ended or 0, latency:percentile(50), latency:percentile(99), latency.max,
    e.status, e.connect + e.read + e.write + e.timeout, threads[1]:get("failed")))
end
