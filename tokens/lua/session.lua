-- unreadable says that this version cannot read a session. That is an error, never an answer.
local function unreadable(session)
  return string.byte(session) ~= SESSION_V1 or not tonumber(slice(session, CLIENT_SIZE))
end

-- clientOf returns the id of the client that a session is of.
local function clientOf(session)
  return slice(session, CLIENT_SIZE.last + 1, CLIENT_SIZE.last + slice(session, CLIENT_SIZE))
end
