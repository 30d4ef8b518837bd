-- list_api_keys returns id, entry, id, entry … of the keys of a client.
local found = {}
for id, entry in pairs(hash(KEYS[1])) do
  table.insert(found, id)
  table.insert(found, entry)
end
return found
