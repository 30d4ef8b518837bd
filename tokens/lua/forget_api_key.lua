-- forget_api_key takes a key out of the list of its client.
local list, id = KEYS[1], ARGV[1]
redis.call('HDEL', list, id)
live(list)
return 1
