-- served_after returns the lists of names that a node served after a time.
local listsKey, timesKey = unpack(KEYS)
local time = tonumber(ARGV[1])
local lists = {}
for digest, at in pairs(hash(timesKey)) do
  if tonumber(at) > time then table.insert(lists, redis.call('HGET', listsKey, digest) or '') end
end
return lists
