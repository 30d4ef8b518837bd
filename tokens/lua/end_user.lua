-- end_user ends every session of a user under the epoch given ('': there is none), once for each
-- call. 0: the user has another epoch. It deletes first: a full Redis accepts the write that follows.
local userEpochKey, sessionsKey, callKey, stream = unpack(KEYS)
local repeatTTL, userEpoch, nonce, name = unpack(ARGV)
if redis.call('EXISTS', callKey) == 1 then return 1 end
if (redis.call('GET', userEpochKey) or '') ~= userEpoch then return 0 end
redis.call('DEL', userEpochKey, sessionsKey)
redis.pcall('SET', callKey, 1, 'PX', repeatTTL)
append_end(stream, nonce, name, '')
return 1
