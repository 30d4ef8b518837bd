-- once says whether this call is the first with this key. A repetition by the network layer finds
-- its own random value.
local key = KEYS[1]
local value, ttl = unpack(ARGV)
if redis.call('SET', key, value, 'NX', 'PX', ttl) then return 1 end
if redis.call('GET', key) == value then return 1 end
return 0
