-- start_session stores a session and its first tokens, if the user's epoch is still the one given. It
-- returns -1 (the proof was used before), 0 (another epoch), 1, or the ids of sessions beyond the maximum: the least recently used.
-- MAX_BEYOND bounds what it looks at, of those that expire first.
local userEpochKey, sessionKey, accessKey, sessionsKey, proofKey = unpack(KEYS)
local userEpoch, head, tail, maxTTL, sessionTTL, access, accessTTL, id, epochTTL, maximum, prefix, mark, proofTTL = unpack(ARGV)
if proofKey and not unused(proofKey, mark, proofTTL) then return -1 end
if redis.call('GET', userEpochKey) ~= userEpoch then return 0 end
local expires = now + maxTTL
local lastUsed, created = nowDigits, nowDigits
local session = head .. string.format(TIME_FORMAT, expires) .. lastUsed .. created .. tail
redis.call('SET', sessionKey, session, 'PX', sessionTTL)
redis.call('SET', accessKey, access, 'PX', accessTTL)
redis.call('ZREMRANGEBYSCORE', sessionsKey, '-inf', now)
redis.call('ZADD', sessionsKey, expires, id)
redis.call('PEXPIRE', sessionsKey, epochTTL)
redis.call('PEXPIRE', userEpochKey, epochTTL)

if maximum == '0' then return 1 end
local count = redis.call('ZCARD', sessionsKey)
if count <= maximum + 0 then return 1 end
local found = {}
for _, other in ipairs(redis.call('ZRANGE', sessionsKey, 0, maximum + MAX_BEYOND - 1)) do
  local record = redis.call('GET', prefix .. other)
  if record and slice(record, USER_EPOCH) == userEpoch then
    if other ~= id then table.insert(found, slice(record, LAST_USED) .. other) end
  else -- it was idle for too long
    redis.call('ZREM', sessionsKey, other)
    count = count - 1
  end
end
table.sort(found)
local beyond = {}
for i = 1, math.min(count - maximum, MAX_BEYOND, #found) do
  table.insert(beyond, slice(found[i], -SESSION_ID_SIZE))
end
return beyond
