-- list_sessions returns id, record, id, record … of the sessions under the user's present epoch.
local userEpochKey, sessionsKey = unpack(KEYS)
local prefix = ARGV[1] -- of the keys of this user's sessions
local userEpoch = redis.call('GET', userEpochKey)
local found = {}
if not userEpoch then return found end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', sessionsKey, now, '+inf')) do
  local session = redis.call('GET', prefix .. id)
  if session and slice(session, USER_EPOCH) == userEpoch then
    table.insert(found, id)
    table.insert(found, session)
  end
end
return found
