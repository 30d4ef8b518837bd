-- forget_known forgets clients whose last name is in the feed.
for _, hashed in ipairs(ARGV) do redis.call('HDEL', KEYS[1], hashed) end
