-- issue_once stores the record of a client's own token, unless the request's proof was used before.
local tokenKey, proofKey = unpack(KEYS)
local record, ttl, mark, proofTTL = unpack(ARGV)
if not unused(proofKey, mark, proofTTL) then return 0 end
redis.call('SET', tokenKey, record, 'PX', ttl)
return 1
