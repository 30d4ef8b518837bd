-- upkeep writes a beat, which replicas confirm, begins an empty stream, and takes away what is too
-- old: never the last entry, so that who has read all of it goes on from there. It deletes first: a
-- full Redis accepts the writes that follow.
local stream, beat, mark = unpack(KEYS)
local _, _, _, fresh = unpack(ARGV)
redis.call('DEL', beat)
redis.call('SET', beat, fresh, 'PX', LIFE)
redis.call('PEXPIRE', mark, LIFE)

local last
if redis.call('EXISTS', stream) == 1 then
  local info = redis.call('XINFO', 'STREAM', stream)
  for i = 1, #info, 2 do
    if info[i] == 'last-entry' and info[i + 1] then last = info[i + 1][1] end
  end
end
if last then
  local oldest = milliseconds() - RETENTION
  redis.call('XTRIM', stream, 'MINID', tonumber(string.match(last, '^%d+')) < oldest and last or string.format('%.0f', oldest))
  redis.call('PEXPIRE', stream, LIFE)
else
  append_end(stream, fresh, '', '')
end
