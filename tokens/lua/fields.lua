-- slice returns the bytes of a text from first to last, counted from 1. A field of a record stands
-- for both: slice(session, CURRENT), or slice(session, EXPIRES.first, CREATED.last).
local slice = string.sub

-- parts cuts a text into parts of one size.
local function parts(text, size)
  local list = {}
  for i = 1, #text, size do table.insert(list, slice(text, i, i + size - 1)) end
  return list
end
