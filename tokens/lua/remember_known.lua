-- remember_known notes clients that get an edition. It restarts the lifetime first: a full Redis
-- accepts the writes that follow.
local key, ttl = KEYS[1], table.remove(ARGV, 1)
redis.call('PEXPIRE', key, ttl)
for _, hashed in ipairs(ARGV) do redis.call('HSET', key, hashed, '') end
redis.call('PEXPIRE', key, ttl)
