-- parts cuts a text into parts of one size.
local function parts(text, size)
  local list = {}
  for i = 1, #text, size do table.insert(list, slice(text, i, i + size - 1)) end
  return list
end
