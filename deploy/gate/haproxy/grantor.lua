-- Asks "grantor gate" about a request, with HAProxy's own HTTP client (HAProxy 2.5 and later; no other Lua library is needed).
--
--   global
--     lua-load-per-thread /etc/haproxy/grantor.lua
--   frontend …
--     http-request lua.grantor scope=orders:read&audience=https://orders.example.com
--     http-request deny deny_status 503 unless { var(txn.grantor) -m str passed }
--
-- The last line is needed: a request goes on when a script fails.

local gate = "http://127.0.0.1:8082"

-- What the gate needs of the request. Each line of a header is sent on: the gate refuses two tokens.
local asked = { "authorization", "dpop", "x-api-key", "origin", "access-control-request-method" }

-- Takes away what the client sent under a name of the gate's, also as Grantor_Subject, which some APIs read as Grantor-Subject.
local function clean(txn)
  for name in pairs(txn.http:req_get_headers()) do
    local plain = name:lower():gsub("^x[-_]", "")
    if plain:find("^grantor[-_]") or plain:find("^client[-_]cert") then
      txn.http:req_del_header(name)
    end
  end
end

local function question(txn)
  local sent, headers = txn.http:req_get_headers(), { ["x-original-method"] = { txn.sf:method() } } -- for --allow-preflight X-Original-Method
  headers["x-original-uri"] = { txn.sf:pathq() } -- for --dpop-request X-Original
  headers["x-forwarded-for"] = { tostring(txn.sf:src()) } -- for --trusted-proxy; never what the client sent
  local certificate = txn.sf:ssl_c_der() -- for --client-cert-header Client-Cert; never what the client sent
  if certificate ~= "" then
    headers["client-cert"] = { ":" .. txn.sc:base64(certificate) .. ":" } -- RFC 9440
  end
  for _, name in ipairs(asked) do
    if sent[name] then
      headers[name] = {}
      for _, value in pairs(sent[name]) do
        table.insert(headers[name], value)
      end
    end
  end
  return headers
end

-- Ends the request as the gate says. HAProxy's own answer, when the gate is away, becomes 503 as well.
local function refuse(txn, answer)
  local from = answer and answer.headers or {}
  local isJSON = from["content-type"] and from["content-type"][1] == "application/json" or from["content-type"] and from["content-type"][0] == "application/json"
  local status = isJSON and answer.status or 503
  local headers = { ["content-type"] = { "application/json" }, ["cache-control"] = { "no-store" } }
  if status == 503 then
    headers["retry-after"] = isJSON and from["retry-after"] or { "1" }
  end
  headers["www-authenticate"] = isJSON and from["www-authenticate"] or nil
  headers["dpop-nonce"] = isJSON and from["dpop-nonce"] or nil
  local body = isJSON and answer.body or '{"error":"temporarily_unavailable"}'
  txn:done(txn:reply { status = status, headers = headers, body = body })
end

local function check(txn, demand)
  local answer = core.httpclient():get { url = gate .. "/verify?" .. demand, headers = question(txn), timeout = 5000 }
  clean(txn)
  if not answer or answer.status ~= 200 then
    refuse(txn, answer)
    return
  end
  txn:set_var("txn.grantor", "passed")
  for _, nonce in pairs(answer.headers["dpop-nonce"] or {}) do -- for --dpop-nonce-key-file
    txn:set_var("txn.grantor_nonce", nonce)
  end
  for name, values in pairs(answer.headers) do
    if name:find("^grantor%-") then
      for _, value in pairs(values) do
        if value ~= "" then
          txn.http:req_add_header(name, value)
        end
      end
    end
  end
end

core.register_action("grantor", { "http-req" }, check, 1)
