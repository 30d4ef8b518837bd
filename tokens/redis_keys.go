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

// tokenKey is the record of an access token of either kind.
func tokenKey(t Token) string {
	if t.Kind == UserAccess {
		return userTokenKey(t)
	}
	return clientTokenKey(t)
}

func userTokenKey(t Token) string             { return userKey("t", t.Tag, t.Hash[:16]) }
func sessionKey(tag Tag, f SessionID) string  { return userKey("f", tag, f[:]) }
func retryKey(tag Tag, f SessionID) string    { return userKey("w", tag, f[:]) }
func userEpochKey(tag Tag) string             { return userKey("u", tag, nil) }
func sessionsKey(tag Tag) string              { return userKey("s", tag, nil) }
func callKey(tag Tag, c Call) string          { return userKey("x", tag, c[:]) }
func clientEpochKey(hashedID [16]byte) string { return "c:" + string(hashedID[:]) }

// apiKeysKey is the list of a client's API keys. Their records are called as those of its tokens.
func apiKeysKey(clientID string) string {
	hashed := hashedClientID(clientID)
	return "a:" + string(hashed[:])
}

// keyUseKey is when an API key was last used.
func keyUseKey(id ID) string { return "a:used:" + string(id[:]) }

// proofKey is a DPoP proof that was used.
func proofKey(p Proof) string { return "p:" + string(p.id[:]) }

// proofKeyBeside is where a user's script finds a proof. A Cluster's script reaches keys of one
// slot: there a proof is used once for each user, and once for all clients' own tokens.
func (s *Redis) proofKeyBeside(tag Tag, p Proof) string {
	if s.db.Clustered() {
		return userKey("p", tag, p.id[:])
	}
	return proofKey(p)
}

const serverKeyKey = "k:1"
