-- change_epoch changes a client's epoch. Behind the epoch stand the last changes: a change that is
-- repeated changes nothing. It deletes first: a full Redis accepts the write that follows.
local key = KEYS[1]
local how, change, ttl = unpack(ARGV)
local zero = string.rep('\0', EPOCH_SIZE)
local held = redis.call('GET', key) or ''
local epoch, changes = slice(held, EPOCH), slice(held, EPOCH.last + 1)
for _, earlier in ipairs(parts(changes, EPOCH_SIZE)) do
  if earlier == change then return 0 end
end
if how == 'enable' and epoch ~= zero or how == 'renew' and epoch == zero then return 0 end
epoch = how == 'disable' and zero or change
redis.call('DEL', key)
redis.call('SET', key, epoch .. change .. slice(changes, 1, EARLIER_CHANGES * EPOCH_SIZE), 'PX', ttl)
return 1
