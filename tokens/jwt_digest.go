package tokens

import (
	"crypto/sha256"
	"strings"
)

// JWTDigest stands for the whole text of a JWT, signature included: half of its SHA-256. A text
// with the digest of the record is the text that was minted, so its signature need not be checked
// again.
type JWTDigest [16]byte

// DigestOf returns the digest of a JWT.
func DigestOf(text string) JWTDigest {
	sum := sha256.Sum256([]byte(text))
	return JWTDigest(sum[:])
}

// digestScope begins the scope token that holds a digest in a record. Older versions refuse a
// record with more bytes than they know, but leave out scopes that no catalogue has; none can have
// this one.
const digestScope = " grantor:jwt:"

// Bounds of a scope that older versions can read.
const (
	maxScopeTokens = 100
	maxScopeBytes  = 4096
)

const digestDigits = len(JWTDigest{}) / blockBytes * blockDigits

// appendScope writes the scope, and behind it the digest where there is one.
func appendScope(dst []byte, r *Record) []byte {
	if r.JWTDigest == (JWTDigest{}) || !mayHoldDigest(r.Scope) {
		return appendText(dst, r.Scope)
	}
	return appendText(dst, r.Scope+digestScope+string(appendBase62(nil, r.JWTDigest[:])))
}

// mayHoldDigest says whether older versions read a scope with a digest behind it as the scope
// alone. They would read an empty scope with a digest as a scope of which nothing is left:
// inactive.
func mayHoldDigest(scope string) bool {
	return scope != "" && len(scope)+len(digestScope)+digestDigits <= maxScopeBytes && strings.Count(scope, " ")+2 <= maxScopeTokens
}

// scope reads what appendScope wrote.
func (d *recordReader) scope() (scope string, digest JWTDigest) {
	text := d.text()
	at := strings.LastIndex(text, digestScope)
	if at < 0 || !mayHoldDigest(text[:at]) || !decodeBase62(digest[:], text[at+len(digestScope):]) {
		return text, JWTDigest{}
	}
	return text[:at], digest
}
