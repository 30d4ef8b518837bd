-- Redis's time in milliseconds since 1970. No node's clock decides what is old.
local function milliseconds()
  local seconds, microseconds = unpack(redis.call('TIME'))
  return seconds * 1000 + math.floor(microseconds / 1000)
end

-- append_end adds an end to the stream. One time in many, which the nonce decides, it also lets go
-- of blocks of entries that are all too old. Without a nonce there is nothing to append. A stream
-- that is gone though the feed was enabled, as when somebody deleted it, had ends that some may not
-- have heard of: the new one begins with the name of the nameless. Its mark is in the same slot.
local function append_end(stream, nonce, names, client)
  if not nonce or nonce == '' then return end
  if string.byte(nonce) >= TRIMS and
    redis.call('XADD', stream, 'NOMKSTREAM', '*', 'nonce', nonce, 'names', names, 'client', client) then return end
  if redis.call('EXISTS', stream) == 0 and redis.call('EXISTS', stream .. ':enabled') == 1 then
    redis.call('XADD', stream, '*', 'nonce', string.reverse(nonce), 'names', '?', 'client', '')
  end
  redis.call('XADD', stream, 'MINID', '~', string.format('%.0f', milliseconds() - RETENTION), '*',
    'nonce', nonce, 'names', names, 'client', client)
  redis.call('PEXPIRE', stream, LIFE)
end
