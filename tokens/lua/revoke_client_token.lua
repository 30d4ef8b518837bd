-- revoke_client_token ends a client's own access token, if its record has the hash and the client given.
-- client is the id with its length before it, as appendClientRecord writes it: behind issue time and TTL.
local accessKey = KEYS[1]
local hash, client = unpack(ARGV)

local function skipUvarint(text, at)
  while string.byte(text, at) > UVARINT_LAST do at = at + 1 end
  return at + 1
end

local record = redis.call('GET', accessKey)
if not record then return 0 end
if string.byte(record) ~= CLIENT_RECORD_V1 or slice(record, RECORD_HASH) ~= hash then
  return redis.error_reply('ERR unreadable token record')
end
local rest = slice(record, RECORD_EPOCH.last + 1)
local owner = slice(rest, skipUvarint(rest, skipUvarint(rest, 1)))
if slice(owner, 1, #client) == client then return redis.call('DEL', accessKey) end
if owner == slice(client, 1, #owner) then return redis.error_reply('ERR unreadable token record') end -- it was cut
return 0
