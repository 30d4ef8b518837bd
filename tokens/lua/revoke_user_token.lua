-- revoke_user_token ends an access token of a user, if it is of the client given: its session is, or,
-- of an exchanged token, the record itself is; see ownedBy. look: it only says whether it would.
local accessKey, sessionKey, stream = unpack(KEYS)
local hash, clientID, client, nonce, name, look = unpack(ARGV)
local record, session = redis.call('GET', accessKey), redis.call('GET', sessionKey)
if not record or not session then return 0 end
local owned
local owner, kind = clientOf(session), string.byte(record) % RECORD_KINDS
if owner and kind == USER_RECORD_V1 then owned = owner == clientID end
if owner and kind == EXCHANGED_RECORD_V1 then owned = ownedBy(record, client) end
if owned == nil then return redis.error_reply('ERR unreadable token record') end
if not owned then return 0 end
if slice(record, RECORD_HASH) ~= hash then return redis.error_reply('ERR unreadable token record') end
if look then return 1 end
redis.call('DEL', accessKey)
append_end(stream, nonce, name, '')
return 1
