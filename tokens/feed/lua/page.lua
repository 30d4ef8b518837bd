-- page returns whether the position is in the stream, whether every node appends, and the entries
-- behind the position, or the first ones. The position itself is read again, not taken for known:
-- its entry must be there, with its nonce. '$' returns the last entry.
local stream, _, mark = unpack(KEYS)
local id, nonce, most = unpack(ARGV)
local enabled = redis.call('EXISTS', mark)
if id == '$' then return {1, enabled, redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)} end
if id ~= '' then
  local entries = redis.call('XRANGE', stream, id, '+', 'COUNT', most + 1)
  local first = entries[1]
  if first and first[1] == id and nonce_of(first) == nonce then
    table.remove(entries, 1)
    return {1, enabled, entries}
  end
end
return {id == '' and 1 or 0, enabled, redis.call('XRANGE', stream, '-', '+', 'COUNT', most)}
