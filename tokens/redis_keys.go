package tokens

// The names of keys in Redis, without the deployment's prefix. They consist of hashes and random
// ids: a caller never chooses a part of one. Their first letters are those of earlier names.

// clientTokenKey is the record of a client's token. Its own hash spreads it over a Cluster.
func clientTokenKey(t Token) string { return "t:" + string(t.Hash[:16]) }

// userKey is a key of a user. The hash tag {tag} puts all of them into one slot.
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
