-- end_user ends every session of a user, once for each call. It deletes first: a full Redis accepts
-- the write that follows.
local userEpochKey, sessionsKey, callKey = unpack(KEYS)
local repeatTTL = ARGV[1]
if redis.call('EXISTS', callKey) == 1 then return 0 end
local ended = redis.call('DEL', userEpochKey, sessionsKey)
redis.pcall('SET', callKey, 1, 'PX', repeatTTL)
return ended
