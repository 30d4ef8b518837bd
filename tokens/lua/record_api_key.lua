-- record_api_key writes the record of a key; a ttl of 0 is none.
local key = KEYS[1]
local record, ttl = unpack(ARGV)
if ttl + 0 == 0 then redis.call('SET', key, record) else redis.call('SET', key, record, 'PX', ttl) end
return 1
