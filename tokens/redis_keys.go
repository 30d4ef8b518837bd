package tokens

// The names of keys, without the deployment's prefix. Tags and ids are raw or base62 bytes of our own making,
// so no text that a caller chose ever stands in a key.

// clientTokenKey is the record of a client's token: spread over a cluster by its own name.
func clientTokenKey(t Token) string { return "t:" + string(t.Hash[:16]) }

// userKey is a key of a user: {tag} is the hash tag that puts all of them in one slot.
func userKey(kind string, tag Tag, rest []byte) string {
	key := make([]byte, 0, 48)
	key = append(key, kind...)
	key = append(key, ":{"...)
	key = appendBase62(key, tag[:])
	key = append(key, '}')
	return string(append(key, rest...))
}

func userTokenKey(t Token) string             { return userKey("t", t.Tag, t.Hash[:16]) }
func sessionKey(tag Tag, f SessionID) string  { return userKey("f", tag, f[:]) }
func retryKey(tag Tag, f SessionID) string    { return userKey("w", tag, f[:]) }
func userEpochKey(tag Tag) string             { return userKey("u", tag, nil) }
func sessionsKey(tag Tag) string              { return userKey("s", tag, nil) }
func callKey(tag Tag, c Call) string          { return userKey("x", tag, c[:]) }
func clientEpochKey(hashedID [16]byte) string { return "c:" + string(hashedID[:]) }

const serverKeyKey = "k:1"
