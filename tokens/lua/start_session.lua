-- start_session stores a session and its first tokens, if the user's epoch is still the one given.
local userEpochKey, sessionKey, accessKey, sessionsKey = unpack(KEYS)
local userEpoch, head, tail, maxTTL, sessionTTL, access, accessTTL, id, epochTTL = unpack(ARGV)
if redis.call('GET', userEpochKey) ~= userEpoch then return 0 end
local expires = now + maxTTL
local lastUsed = string.format(TIME_FORMAT, now)
local created = lastUsed
local session = head .. string.format(TIME_FORMAT, expires) .. lastUsed .. created .. tail
redis.call('SET', sessionKey, session, 'PX', sessionTTL)
redis.call('SET', accessKey, access, 'PX', accessTTL)
redis.call('ZREMRANGEBYSCORE', sessionsKey, '-inf', now)
redis.call('ZADD', sessionsKey, expires, id)
redis.call('PEXPIRE', sessionsKey, epochTTL)
redis.call('PEXPIRE', userEpochKey, epochTTL)
return 1
