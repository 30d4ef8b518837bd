-- rotate uses a refresh token. memoryRotation.decide is its twin, step by step.
-- The order of the steps is a rule of security: Store.Rotate states it.
--
-- The script ends no session: the node does, and logs the end. A call may reach Redis long after its
-- request, when a connection that hung goes on; it must not end a session unseen.
--
-- Lifetimes are text and stay text unless they are shortened: Redis pays for making text of a number.
-- Arithmetic takes text for the number that it is; a comparison does not.
local call = redis.call
--
-- forgiven, and what follows it, is there where it is needed: for a late retry, and for a request that
-- shows a key or a certificate.
local sessionKey, userEpochKey, responseKey, accessKey, proofKey = unpack(KEYS)
local head, clientID, clientEpoch, address, idleTTL, sessionTTL, accessTTL, retryWindow, access, response,
  forgiven, shown, mark, proofTTL = unpack(ARGV)

-- proof: one that was used before has no effect, whatever the token is.
if proofKey and not unused(proofKey, mark, proofTTL) then return {REPLAYED} end

-- findSession
local session, userEpoch = unpack(call('MGET', sessionKey, userEpochKey))
if not session then return {NO_SESSION} end
local owner = clientOf(session)
if not owner then return redis.error_reply('ERR unreadable session record') end

-- checkClient: another client's token has no effect.
if owner ~= clientID then return {OTHER_CLIENT} end

-- checkEnd: epochs of user and client, absolute end, idle time.
local left = slice(session, EXPIRES) - now
local idle = now - slice(session, LAST_USED)
if slice(session, USER_EPOCH) ~= userEpoch or slice(session, CLIENT_EPOCH) ~= clientEpoch or left <= 0 or idle - idleTTL >= 0 then
  return {ENDED}
end
if left - sessionTTL < 0 then sessionTTL = left end
if left - accessTTL < 0 then accessTTL = left end

-- sameCall: the network layer repeated this very call.
local current, new, old = slice(session, CURRENT), slice(head, CURRENT), slice(head, PREVIOUS)
if current == new then return accessTTL + 0 end

-- otherKey: who stole a token that was not used yet gets nothing, and does not log its owner out.
local bound = string.byte(session) == SESSION_V2
local foreign = bound and not proves(shown or '', session)
if foreign and current == old then return {OTHER_KEY} end

if current ~= old then
  if slice(session, PREVIOUS) ~= old then
    -- lostRotation: Redis lost the rotation that made this token.
    local generation = tonumber(slice(head, GENERATION), HEX) - 1
    if generation > tonumber(slice(session, GENERATION), HEX) then return {foreign and OTHER_KEY or LOST_ROTATION} end

    -- reuse
    return {REUSE}
  end

  -- reuse by another key: its owner would prove the key.
  if foreign then return {REUSE} end

  -- retry: the same response again. It writes nothing, unless the client asks for something else.
  local stored = call('GET', responseKey)
  if stored then
    local first = call('PTTL', slice(accessKey, 1, -1 - ID_SIZE) .. slice(stored, RESPONSE_ACCESS))
    if first <= 0 then return {ACCESS_GONE} end
    local sealed = slice(stored, RESPONSE_REQUEST.last + 1)
    local otherAddress = slice(session, ADDRESS) == address and 0 or 1
    if slice(stored, RESPONSE_REQUEST) == slice(response, RESPONSE_REQUEST) then
      return {'retry', first, sealed, idle, otherAddress}
    end
    call('SET', accessKey, access, 'PX', accessTTL)
    return {'new access', accessTTL + 0, sealed, idle, otherAddress}
  end

  -- lateRetry: the node finds out whether an outage explains it, and calls again.
  if retryWindow == '0' then return {REUSE} end
  if forgiven ~= '1' then return {LATE, idle} end
end

-- rotate: the new tokens take the place of the old ones. A session that is bound stays so; one that is
-- not is bound from now on where the head says it.
local binding = ''
if bound then
  head = slice(session, VERSION) .. slice(head, CURRENT.first)
elseif string.byte(head) == SESSION_V2 then
  binding = shown
end
call('SET', sessionKey, head .. slice(session, USER_EPOCH.first, EXPIRES.last) .. nowDigits
  .. slice(session, CREATED) .. MARKS_V1 .. address .. slice(session, CLIENT_SIZE.first) .. binding, 'PX', sessionTTL)
call('SET', accessKey, access, 'PX', accessTTL)
if retryWindow ~= '0' then
  call('SET', responseKey, response, 'PX', retryWindow)
else
  call('DEL', responseKey)
end
return accessTTL + 0
