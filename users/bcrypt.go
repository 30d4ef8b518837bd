package users

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

const (
	bcryptLength   = 60 // characters of "$2b$12$" and 53 of salt and hash
	bcryptLimit    = 72 // bytes of a password that bcrypt looks at
	bcryptAlphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)

// bcryptHash is $2a$, $2b$ or $2y$; with prehash it is Django's bcrypt_sha256, which
// hashes the hexadecimal SHA-256 of the password and so knows no limit.
type bcryptHash struct {
	text    string
	prehash bool
}

func parseBcrypt(text string, prehash bool) (passwordHash, error) {
	const form = `must read "$2b$12$" and 53 characters; $2a$ and $2y$ are accepted too`
	if len(text) != bcryptLength || text[0] != '$' || text[3] != '$' || text[6] != '$' {
		return nil, formError("bcrypt", form)
	}
	switch text[1:3] {
	case "2a", "2b", "2y":
	default:
		return nil, formError("bcrypt", form)
	}
	if strings.Trim(text[7:], bcryptAlphabet) != "" {
		return nil, formError("bcrypt", form)
	}
	cost, err := number(strings.TrimPrefix(text[4:6], "0"), maxBcryptCost)
	if err != nil || cost < uint64(bcrypt.MinCost) {
		return nil, formError("bcrypt", "its cost must be a number from %d to %d", bcrypt.MinCost, maxBcryptCost)
	}
	return &bcryptHash{text, prehash}, nil
}

// matches refuses a password beyond bcrypt's limit instead of cutting it
// (docs/evidence/conformance.md PW-08), at the same cost.
func (h *bcryptHash) matches(password string) bool {
	key := []byte(password)
	if h.prehash {
		sum := sha256.Sum256(key)
		key = []byte(hex.EncodeToString(sum[:]))
	}
	fits := len(key) <= bcryptLimit
	if !fits {
		key = key[:bcryptLimit]
	}
	return bcrypt.CompareHashAndPassword([]byte(h.text), key) == nil && fits
}

func (h *bcryptHash) memory() uint64 { return 0 }

func (h *bcryptHash) form() string { return fmt.Sprintf("bcrypt %s", h.text[4:6]) }

func (h *bcryptHash) blank() passwordHash {
	return &bcryptHash{h.text[:7] + strings.Repeat(".", bcryptLength-7), h.prehash}
}

// cut returns what bcrypt looks at of a client secret: other programs hashed the first bcryptLimit
// bytes of a longer one.
func (h *bcryptHash) cut(secret string) string {
	if h.prehash {
		return secret
	}
	return secret[:min(len(secret), bcryptLimit)]
}
