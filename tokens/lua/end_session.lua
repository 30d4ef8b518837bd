-- end_session ends a session, of the client given or, for '', of any. look: it only says whether it would.
local sessionKey, responseKey, sessionsKey, stream = unpack(KEYS)
local clientID, id, nonce, name, look = unpack(ARGV)
local session = redis.call('GET', sessionKey)
if not session then return 0 end
local owner = clientOf(session)
if not owner then return redis.error_reply('ERR unreadable session record') end
if clientID ~= '' and owner ~= clientID then return 0 end
if look then return 1 end
redis.call('DEL', sessionKey, responseKey)
redis.call('ZREM', sessionsKey, id)
append_end(stream, nonce, name, '')
return 1
