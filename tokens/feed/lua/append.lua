-- append adds ends to the stream: nonce, names, client id, nonce, names, client id … It restarts the
-- lifetime first, and a full Redis accepts the writes that follow.
local stream = KEYS[1]
redis.call('PEXPIRE', stream, LIFE)
for i = 1, #ARGV, 3 do append_end(stream, ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
