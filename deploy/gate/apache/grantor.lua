-- Asks "grantor gate" about a request. For Apache httpd 2.4 with mod_lua, and LuaSocket (Debian's lua-socket).
-- httpd has no client of its own for this; each of its threads keeps one connection to the gate (LuaScope thread).

local socket = require "socket"

local address = "127.0.0.1:8082" -- or "unix:/run/grantor-gate/gate.sock"
local seconds = 5                -- the longest that a check may take

local connection -- of this thread

local function open()
  local path, c = address:match("^unix:(.*)")
  if path then
    c = require "socket.unix"()
  else
    c = socket.tcp()
  end
  c:settimeout(seconds)
  local host, port = address:match("^(.*):(%d+)$")
  local done, why
  if path then
    done, why = c:connect(path)
  else
    done, why = c:connect(host, tonumber(port))
  end
  if not done then
    c:close()
    return nil, why
  end
  return c
end

-- Reads an answer: status, headers by their names in lower case, body.
local function receive(c)
  local line, why = c:receive("*l")
  if not line then
    return nil, why
  end
  local status, headers = tonumber(line:match("^HTTP/1%.%d (%d%d%d)")), {}
  while true do
    line, why = c:receive("*l")
    if not line then
      return nil, why
    end
    if line == "" then
      break
    end
    local name, value = line:match("^([^:]+):%s*(.-)%s*$")
    if name then
      name = name:lower()
      headers[name] = headers[name] and headers[name] .. ", " .. value or value -- as two challenges
    end
  end
  local length, body = tonumber(headers["content-length"] or "0"), ""
  if length > 0 then
    body, why = c:receive(length)
    if not body then
      return nil, why
    end
  end
  return { status = status, headers = headers, body = body }
end

-- Sends a question. A kept connection may have ended meanwhile, so a second one is tried.
local function ask(question)
  local why
  for _ = 1, 2 do
    local kept = connection
    connection = nil
    local c = kept
    if not c then
      c, why = open()
      if not c then
        return nil, why
      end
    end
    local answer
    if c:send(question) then
      answer, why = receive(c)
    end
    if answer and answer.status then
      if (answer.headers["connection"] or ""):lower() == "close" then
        c:close()
      else
        connection = c
      end
      return answer
    end
    c:close()
    if not kept then
      break
    end
  end
  return nil, why or "the gate gives no answer"
end

-- Takes away what the client sent under a name of the gate's, also as Grantor_Subject, which some APIs read as Grantor-Subject.
local function clean(r)
  for name in pairs(r:headers_in_table()) do
    local plain = name:lower():gsub("^x[-_]", "")
    if plain:find("^grantor[-_]") or plain:find("^client[-_]cert") then
      r.headers_in[name] = nil
    end
  end
end

-- Answers in the place of httpd's own error pages.
local function refuse(r, status, headers, body)
  r.status = status
  r.content_type = "application/json"
  r.err_headers_out["Cache-Control"] = "no-store"
  if headers["www-authenticate"] then
    r.err_headers_out["WWW-Authenticate"] = headers["www-authenticate"]
  end
  if headers["dpop-nonce"] then
    r.err_headers_out["DPoP-Nonce"] = headers["dpop-nonce"]
  end
  if headers["retry-after"] then
    r.err_headers_out["Retry-After"] = headers["retry-after"]
  end
  r:write(body)
  return apache2.DONE
end

local function away(r, why)
  r:err("grantor gate: " .. tostring(why))
  return refuse(r, 503, { ["retry-after"] = "1" }, '{"error":"temporarily_unavailable"}')
end

-- Answers with the metadata of the API (RFC 9728), which the gate writes. The client's query is not read.
local function describe(r, description)
  local answer, why = ask("GET /metadata?" .. description .. " HTTP/1.1\r\nHost: grantor-gate\r\n\r\n")
  if not answer then
    return away(r, why)
  end
  r.err_headers_out["Access-Control-Allow-Origin"] = "*"
  return refuse(r, answer.status, answer.headers, answer.body)
end

-- LuaHookAccessChecker calls this. GRANTOR_DEMAND says what is needed, "open" lets everybody pass, and "metadata?" stands before
-- what the metadata says.
function check(r)
  local demand = r.subprocess_env["GRANTOR_DEMAND"] or ""
  local description = demand:match("^metadata%?(.*)$")
  if description then
    return describe(r, description)
  end
  if demand == "open" then
    clean(r)
    return apache2.OK
  end
  local question = { "GET /verify?" .. demand .. " HTTP/1.1", "Host: grantor-gate", "X-Original-Method: " .. r.method,
    "X-Original-URI: " .. r.unparsed_uri, -- for --dpop-request X-Original
    "X-Forwarded-For: " .. r.useragent_ip } -- for --trusted-proxy; never what the client sent
  for _, name in ipairs { "Authorization", "DPoP", "X-API-Key", "Origin", "Access-Control-Request-Method" } do
    if r.headers_in[name] then -- httpd joins two lines by a comma, which no token has: the gate refuses them
      question[#question + 1] = name .. ": " .. r.headers_in[name]
    end
  end
  local certificate = r:ssl_var_lookup("SSL_CLIENT_CERT") or ""
  if certificate ~= "" then -- for --client-cert-header Client-Cert (RFC 9440); never what the client sent
    question[#question + 1] = "Client-Cert: :" .. certificate:gsub("%-%-%-%-%-[^-]+%-%-%-%-%-", ""):gsub("%s", "") .. ":"
  end
  local answer, why = ask(table.concat(question, "\r\n") .. "\r\n\r\n")
  clean(r)
  if not answer then
    return away(r, why)
  end
  if answer.status ~= 200 then
    return refuse(r, answer.status, answer.headers, answer.body)
  end
  if answer.headers["dpop-nonce"] then -- for --dpop-nonce-key-file
    r.err_headers_out["DPoP-Nonce"] = answer.headers["dpop-nonce"]
  end
  for name, value in pairs(answer.headers) do
    if name:find("^grantor%-") and value ~= "" then
      r.headers_in[name] = value
    end
  end
  return apache2.OK
end
