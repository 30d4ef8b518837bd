-- end_session ends a session, of the client given or, for '', of any.
local sessionKey, responseKey, sessionsKey = unpack(KEYS)
local clientID, id = unpack(ARGV)
local session = redis.call('GET', sessionKey)
if not session then return 0 end
if unreadable(session) then return redis.error_reply('ERR unreadable session record') end
if clientID ~= '' and clientOf(session) ~= clientID then return 0 end
redis.call('DEL', sessionKey, responseKey)
redis.call('ZREM', sessionsKey, id)
return 1
