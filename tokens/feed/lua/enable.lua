-- enable begins the stream where there is none, and marks the feed as enabled: a stream that is
-- missing later was lost. It deletes first: a full Redis accepts the writes that follow.
local mark, stream = unpack(KEYS)
local nonce = unpack(ARGV)
redis.call('DEL', mark)
if redis.call('EXISTS', stream) == 0 then append_end(stream, nonce, '', '') end
redis.call('SET', mark, 1, 'PX', LIFE)
