package tokens

import "crypto/sha256"

// JWTDigest stands for the whole text of a JWT, signature included: half of its SHA-256. A text
// with the digest of the record is the text that was minted, so its signature need not be checked
// again.
type JWTDigest [16]byte

// DigestOf returns the digest of a JWT.
func DigestOf(text string) JWTDigest {
	sum := sha256.Sum256([]byte(text))
	return JWTDigest(sum[:])
}
