-- unused says whether a DPoP proof was not used before, and remembers it. mark is drawn for one call:
-- a repetition by the network layer finds its own.
local function unused(proofKey, mark, ttl)
  return redis.call('SET', proofKey, mark, 'NX', 'PX', ttl) or redis.call('GET', proofKey) == mark
end
