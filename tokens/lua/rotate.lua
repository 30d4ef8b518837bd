-- rotate uses a refresh token. memoryRotation.decide is its twin, step by step.
-- The order of the steps is a rule of security: Store.Rotate states it.
--
-- The script ends no session: the node does, and logs the end. A call may reach Redis long after its
-- request, when a connection that hung goes on; it must not end a session unseen.
local call = redis.call
local sessionKey, userEpochKey, responseKey, accessKey = unpack(KEYS)
local head, clientID, clientEpoch, address, idleTTL, accessTTL, retryWindow, access, response, forgiven = unpack(ARGV)
idleTTL, accessTTL, retryWindow = tonumber(idleTTL), tonumber(accessTTL), tonumber(retryWindow)

-- findSession
local session, userEpoch = unpack(call('MGET', sessionKey, userEpochKey))
if not session then return {NO_SESSION} end
if unreadable(session) then return redis.error_reply('ERR unreadable session record') end

-- checkClient: another client's token has no effect.
if clientOf(session) ~= clientID then return {OTHER_CLIENT} end

-- checkEnd: epochs of user and client, absolute end, idle time.
local left = slice(session, EXPIRES) - now
local unused = now - slice(session, LAST_USED)
if slice(session, USER_EPOCH) ~= userEpoch or slice(session, CLIENT_EPOCH) ~= clientEpoch or left <= 0 or unused >= idleTTL then
  return {ENDED}
end
local sessionTTL = math.min(math.max(idleTTL, accessTTL), left)
accessTTL = math.min(accessTTL, left)

-- sameCall: the network layer repeated this very call.
local current, new, old = slice(session, CURRENT), slice(head, CURRENT), slice(head, PREVIOUS)
if current == new then return accessTTL end

if current ~= old then
  if slice(session, PREVIOUS) ~= old then
    -- lostRotation: Redis lost the rotation that made this token.
    local generation = tonumber(slice(head, GENERATION), HEX) - 1
    if generation > tonumber(slice(session, GENERATION), HEX) then return {LOST_ROTATION} end

    -- reuse
    return {REUSE}
  end

  -- retry: the same response again. It writes nothing, unless the client asks for something else.
  local stored = call('GET', responseKey)
  if stored then
    local first = call('PTTL', slice(accessKey, 1, -1 - ID_SIZE) .. slice(stored, RESPONSE_ACCESS))
    if first <= 0 then return {ACCESS_GONE} end
    local sealed = slice(stored, RESPONSE_REQUEST.last + 1)
    local otherAddress = slice(session, ADDRESS) == address and 0 or 1
    if slice(stored, RESPONSE_REQUEST) == slice(response, RESPONSE_REQUEST) then
      return {'retry', first, sealed, unused, otherAddress}
    end
    call('SET', accessKey, access, 'PX', accessTTL)
    return {'new access', accessTTL, sealed, unused, otherAddress}
  end

  -- lateRetry: the node finds out whether an outage explains it, and calls again.
  if retryWindow == 0 then return {REUSE} end
  if forgiven ~= '1' then return {LATE, unused} end
end

-- rotate: the new tokens take the place of the old ones.
call('SET', sessionKey, head .. slice(session, USER_EPOCH.first, EXPIRES.last) .. string.format(TIME_FORMAT, now)
  .. slice(session, CREATED) .. MARKS_V1 .. address .. slice(session, CLIENT_SIZE.first), 'PX', sessionTTL)
call('SET', accessKey, access, 'PX', accessTTL)
if retryWindow > 0 then
  call('SET', responseKey, response, 'PX', retryWindow)
else
  call('DEL', responseKey)
end
return accessTTL
