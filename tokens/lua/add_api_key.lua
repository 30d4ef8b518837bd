-- add_api_key puts a key into the list of its client, unless there are too many. It takes out those that
-- ended: the ids in gone, and whose time is over.
local list = KEYS[1]
local id, entry, gone, most = unpack(ARGV)
for _, ended in ipairs(parts(gone, ID_SIZE)) do redis.call('HDEL', list, ended) end
local valid = 0
for held, text in pairs(hash(list)) do
  local ends = endOf(text)
  if ends > 0 and ends <= now then
    redis.call('HDEL', list, held)
  elseif held ~= id then
    valid = valid + 1
  end
end
if valid >= most + 0 then return 0 end
redis.call('HSET', list, id, entry)
live(list)
return 1
