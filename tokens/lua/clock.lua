-- Redis's time in milliseconds since 1970, as a number and as the digits that records have. No node's
-- clock decides anything. Redis pays for making text of a number: digits stay digits where they can.
local seconds, microseconds = unpack(redis.call('TIME'))
local nowDigits = seconds .. string.sub(string.format('%06d', microseconds), 1, 3)
local now = nowDigits + 0
