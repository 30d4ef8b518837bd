-- proves says whether a request that shows a key and a certificate proves all that a session is bound
-- to: see Confirmation.ProvedBy.
local function proves(shown, session)
  local bound = slice(session, -CONFIRMATION_SIZE)
  for first = 1, CONFIRMATION_SIZE, THUMBPRINT_SIZE do
    local part = slice(bound, first, first + THUMBPRINT_SIZE - 1)
    if part ~= string.rep('\0', THUMBPRINT_SIZE) and part ~= slice(shown, first, first + THUMBPRINT_SIZE - 1) then return false end
  end
  return true
end
