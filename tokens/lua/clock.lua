-- Redis's time in milliseconds since 1970. No node's clock decides anything.
local seconds, microseconds = unpack(redis.call('TIME'))
local now = seconds * 1000 + math.floor(microseconds / 1000)
