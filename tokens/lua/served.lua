-- hash returns all fields of a hash.
local function hash(key)
  local flat, fields = redis.call('HSCAN', key, '0', 'COUNT', HSCAN_ALL)[2], {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end
