local function skipUvarint(text, at)
  while string.byte(text, at) > UVARINT_LAST do at = at + 1 end
  return at + 1
end

-- ownedBy says whether a record of a client's token, an API key or an exchanged token is of the
-- client given: the id with its length before it, as appendClientRecord writes it behind issue time
-- and TTL. nil: the record was cut.
local function ownedBy(record, client)
  local owner = skipUvarint(record, skipUvarint(record, RECORD_EPOCH.last + 1)) -- where the client begins
  if slice(record, owner, owner + #client - 1) == client then return true end
  if slice(record, owner) ~= slice(client, 1, #record - owner + 1) then return false end
  return nil
end
