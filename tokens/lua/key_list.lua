-- endOf returns when a key in the list of a client ends, in milliseconds; 0: it has no end.
local function endOf(entry) return slice(entry, KEY_ENDS) + 0 end

-- live makes a list live as long as its last key, and without a lifetime where a key has none.
local function live(list)
  local last = 0
  for _, entry in pairs(hash(list)) do
    local ends = endOf(entry)
    if ends == 0 then
      redis.call('PERSIST', list)
      return
    end
    last = math.max(last, ends)
  end
  if last > 0 then redis.call('PEXPIREAT', list, string.format(TIME_FORMAT, last)) end
end
