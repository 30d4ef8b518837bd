-- slice returns the bytes of a text from first to last, counted from 1. A field of a record stands
-- for both: slice(session, CURRENT), or slice(session, EXPIRES.first, CREATED.last).
local slice = string.sub
