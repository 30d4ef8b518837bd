package tokens

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"strings"
)

// API keys that djangorestframework-api-key made go on working under their old text. It keeps the
// SHA-512 of a text, prefix.secret. Grantor keeps the SHA-256 of that, so a text costs two hashes
// and no more than any other key.

const (
	foreignLabel     = "grantor/foreign-key/v1/sha512$"
	maxForeignPrefix = 8
	minForeignSecret = 22 // 128 bits in base 62
	maxForeignSecret = 128
)

// ForeignKeyHash returns the hash of an API key of another server, of the SHA-512 of its text in
// hexadecimal digits.
func ForeignKeyHash(digest string) Hash { return sha256.Sum256([]byte(foreignLabel + digest)) }

// ParseForeignKey reads a text that may be an API key of another server: up to 8 letters and
// digits, a dot, and 22 to 128 of them. Only the store can say whether there is such a key.
func ParseForeignKey(text string) (Token, bool) {
	if !IsForeignKey(text) {
		return Token{}, false
	}
	sum := sha512.Sum512([]byte(text))
	return Token{Kind: ClientKey, Hash: ForeignKeyHash(hex.EncodeToString(sum[:]))}, true
}

// IsForeignKey says whether a text has the form that ParseForeignKey reads. A JWT has two dots.
func IsForeignKey(text string) bool {
	prefix, secret, ok := strings.Cut(text, ".")
	return ok && len(prefix) >= 1 && len(prefix) <= maxForeignPrefix && len(secret) >= minForeignSecret &&
		len(secret) <= maxForeignSecret && isBase62(prefix) && isBase62(secret)
}

func isBase62(text string) bool {
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
