-- swap_epoch puts a value in the place of the one that the node read ('': there was none). 0: another
-- one is there. It deletes first: a full Redis accepts the write that follows.
local key, stream = unpack(KEYS)
local before, after, ttl, nonce, name = unpack(ARGV)
local held = redis.call('GET', key) or ''
if held == after then return 1 end
if held ~= before then return 0 end
redis.call('DEL', key)
redis.call('SET', key, after, 'PX', ttl)
append_end(stream, nonce, name, '')
return 1
