-- known_clients returns the clients that have an edition, hashed, and restarts their lifetime.
local key, ttl = KEYS[1], ARGV[1]
redis.pcall('PEXPIRE', key, ttl)
local known = {}
for hashed in pairs(hash(key)) do table.insert(known, hashed) end
return known
