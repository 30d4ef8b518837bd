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
local tokens, proofs = {}, {} -- of chains with proofs

local function compose(kind, value, proof)
  if bearer[kind] then return heads[kind] .. value .. "\r\n\r\n" end
  local body = prefixes[kind] .. value
  proof = proof and "DPoP: " .. proof .. "\r\n" or ""
  return heads[kind] .. proof .. "Content-Length: " .. #body .. "\r\n\r\n" .. body
end

local function finish()
  if ended == 0 then
    ended = now()
    wrk.thread:stop()
  end
end

function init(args)
  local file = assert(io.open(args[1]))
  local mode, kinds, steps = file:read("*l"):match("^(%a+) (%d+) (%d+)$")
  for i = 1, tonumber(kinds) do
    local form, head, prefix = file:read("*l"):match("^(%a+)\t(.-)\t(.*)$")
    heads[i], prefixes[i], bearer[i] = head:gsub("\\r\\n", "\r\n"), prefix, form == "bearer"
  end
  local listed = {}
  for i = 1, tonumber(steps) do
    local kind, value = file:read("*l"):match("^(%d+) (.*)$")
    listed[i] = { kind = tonumber(kind), value = value }
  end
  for proof in file:lines() do proofs[#proofs + 1] = proof end
  file:close()
  if mode == "chain" and #proofs > 0 then
    for i, step in ipairs(listed) do tokens[i] = step.value end
    last, request, response = #tokens, provenChain, followProven
    return
  end
  for i = 1, math.max(#listed, #proofs) do
    local step = listed[(i - 1) % #listed + 1]
    requests[i] = compose(step.kind, step.value, proofs[i])
  end
  last = #requests
  if mode == "chain" then
    request, response = chain, follow
  elseif mode == "once" or #proofs > 0 then
    request = once
  else
    request = cycle
  end
end

function cycle()
  at = at % #requests + 1
  return requests[at]
end

function once()
  if at == #requests then
    finish()
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

local function renewed(status, body)
  local token = status == 200 and body:match('"refresh_token":"([^"]+)"')
  if token then return token end
  failed = failed + 1
  return "lost"
end

function follow(status, headers, body)
  last = last + 1
  requests[last] = compose(1, renewed(status, body))
end

-- The same with a proof for each request, which is joined to the token when the request is sent.
function provenChain()
  at = at + 1
  local token, proof = tokens[at], proofs[at]
  tokens[at] = nil
  if not proof then finish() end
  return compose(1, token or "lost", proof)
end

function followProven(status, headers, body)
  last = last + 1
  tokens[last] = renewed(status, body)
end

function done(summary, latency)
  local e, ended = summary.errors, threads[1]:get("ended")
  io.write(string.format(
    'RESULT {"requests":%d,"seconds":%.6f,"ended":%.6f,"p50":%d,"p99":%d,"max":%d,"status":%d,"socket":%d,"body":%d}\n',
    summary.requests, summary.duration / 1e6, ended > 0 and ended or 0, latency:percentile(50), latency:percentile(99), latency.max,
    e.status, e.connect + e.read + e.write + e.timeout, threads[1]:get("failed")))
end
