-- revoke_user_token ends an access token of a user, if its session is of the client given.
local accessKey, sessionKey = unpack(KEYS)
local hash, clientID = unpack(ARGV)
local record, session = redis.call('GET', accessKey), redis.call('GET', sessionKey)
if not record or not session then return 0 end
if unreadable(session) or string.byte(record) ~= USER_RECORD_V1 then return redis.error_reply('ERR unreadable token record') end
if clientOf(session) ~= clientID then return 0 end
if slice(record, RECORD_HASH) ~= hash then return redis.error_reply('ERR unreadable token record') end
return redis.call('DEL', accessKey)
