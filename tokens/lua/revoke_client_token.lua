-- revoke_client_token ends a client's own access token, an API key or an exchanged token of no user, if its
-- record has the hash and the client given; see ownedBy. look: it only says whether it would.
local accessKey, stream = unpack(KEYS)
local hash, client, nonce, name, look = unpack(ARGV)
local record = redis.call('GET', accessKey)
if not record then return 0 end
local kind = string.byte(record) % RECORD_KINDS
local known = kind == CLIENT_RECORD_V1 or kind == KEY_RECORD_V1 or kind == EXCHANGED_RECORD_V1
if not known or slice(record, RECORD_HASH) ~= hash then return redis.error_reply('ERR unreadable token record') end
local owned = ownedBy(record, client)
if owned == nil then return redis.error_reply('ERR unreadable token record') end
if not owned then return 0 end
if look then return 1 end
redis.call('DEL', accessKey)
append_end(stream, nonce, name, '')
return 1
