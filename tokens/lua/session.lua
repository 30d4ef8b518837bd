-- clientOf returns the id of the client that a session is of; nil or false: this version cannot read
-- the session. That is an error, never an answer.
local function clientOf(session)
  local version = string.byte(session)
  local size = (version == SESSION_V1 or version == SESSION_V2) and tonumber(slice(session, CLIENT_SIZE))
  return size and slice(session, CLIENT_SIZE.last + 1, CLIENT_SIZE.last + size)
end
