-- serving notes that a node serves a list of names now. Nodes send the list itself only where Redis
-- does not know it: then this returns 0.
local listsKey, timesKey = unpack(KEYS)
local digest, names, ttl, listTTL = unpack(ARGV)
if names ~= '' then
  redis.call('HSET', listsKey, digest, names)
elseif not redis.call('HGET', listsKey, digest) then
  return 0
end
redis.call('HSET', timesKey, digest, nowDigits)
for other, at in pairs(hash(timesKey)) do
  if now - tonumber(at) > tonumber(listTTL) then
    redis.call('HDEL', listsKey, other)
    redis.call('HDEL', timesKey, other)
  end
end
redis.call('PEXPIRE', listsKey, ttl)
redis.call('PEXPIRE', timesKey, ttl)
return 1
