-- nonce_of returns the nonce of an entry.
local function nonce_of(entry)
  local fields = entry[2]
  for i = 1, #fields, 2 do
    if fields[i] == 'nonce' then return fields[i + 1] end
  end
end
