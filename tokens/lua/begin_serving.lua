-- begin_serving compares the names of a new configuration with those that nodes served before.
-- It returns the names that come back: since a node served them last, a configuration was without them;
-- the names that go: this configuration is the first without them; the error of a Redis that accepts
-- no writes, or ''; and the time.
local listsKey, timesKey, absentKey = unpack(KEYS)
local names, ttl = unpack(ARGV)

local failure = ''
local function note(...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then failure = reply.err end
end

local mine, lastServed = {}, {}
for _, name in ipairs(parts(names, NAME_SIZE)) do mine[name] = true end
local times, absent = hash(timesKey), hash(absentKey)
for digest, list in pairs(hash(listsKey)) do
  local at = tonumber(times[digest] or 0)
  for _, name in ipairs(parts(list, NAME_SIZE)) do
    if (lastServed[name] or -1) < at then lastServed[name] = at end
  end
end

local back, gone = {}, {}
for name, at in pairs(absent) do
  if mine[name] and (lastServed[name] or 0) <= tonumber(at) then table.insert(back, name) end
end
for name, at in pairs(lastServed) do
  if not mine[name] then
    if at > tonumber(absent[name] or -1) then table.insert(gone, name) end
    note('HSET', absentKey, name, nowDigits)
  end
end
note('PEXPIRE', absentKey, ttl)
return {back, gone, failure, nowDigits}
