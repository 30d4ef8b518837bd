package users

import (
	"crypto/pbkdf2"
	"crypto/sha1" // #nosec G505 -- PBKDF2-HMAC-SHA1 is read for Django's pbkdf2_sha1, never written
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"hash"
	"strings"

	"golang.org/x/crypto/scrypt"
)

// pbkdf2Hash is Django's "pbkdf2_sha256$iterations$salt$base64" and its sister with SHA-1
// (django.contrib.auth.hashers). The salt is used as it is written.
type pbkdf2Hash struct {
	scheme     string
	prf        func() hash.Hash
	iterations int
	salt       string
	digest     []byte
}

func parsePBKDF2(scheme, text string) (passwordHash, error) {
	part := strings.Split(text, "$")
	if len(part) != 3 {
		return nil, formError(scheme, `must read "%s$iterations$salt$hash"`, scheme)
	}
	iterations, err := number(part[0], maxIterations)
	if err != nil {
		return nil, formError(scheme, "iterations: %v", err)
	}
	prf, size := sha256.New, sha256.Size
	if scheme == "pbkdf2_sha1" {
		prf, size = sha1.New, sha1.Size
	}
	digest, err := base64.StdEncoding.DecodeString(part[2])
	if err != nil || len(digest) != size {
		return nil, formError(scheme, "the hash must be %d bytes in base64", size)
	}
	if part[1] == "" || len(part[1]) > maxSalt {
		return nil, formError(scheme, "the salt must have 1 to %d characters", maxSalt)
	}
	return &pbkdf2Hash{scheme, prf, int(iterations), part[1], digest}, nil // #nosec G115 -- at most maxIterations
}

func (h *pbkdf2Hash) matches(password string) bool {
	got, err := pbkdf2.Key(h.prf, password, []byte(h.salt), h.iterations, len(h.digest))
	return err == nil && subtle.ConstantTimeCompare(got, h.digest) == 1
}

func (h *pbkdf2Hash) memory() uint64 { return 0 }

func (h *pbkdf2Hash) form() string { return fmt.Sprintf("%s %d", h.scheme, h.iterations) }

func (h *pbkdf2Hash) blank() passwordHash {
	b := *h
	b.salt, b.digest = strings.Repeat("0", len(h.salt)), make([]byte, len(h.digest))
	return &b
}

// scryptHash is Django's "scrypt$n$salt$r$p$base64" (since Django 4.0). The salt is used as it is
// written.
type scryptHash struct {
	n, r, p int
	salt    string
	digest  []byte
}

func parseScrypt(text string) (passwordHash, error) {
	part := strings.Split(text, "$")
	if len(part) != 5 {
		return nil, formError("scrypt", `must read "scrypt$n$salt$r$p$hash"`)
	}
	n, errN := number(part[0], 1<<20)
	r, errR := number(part[2], 64)
	p, errP := number(part[3], 64)
	digest, errDigest := base64.StdEncoding.DecodeString(part[4])
	switch {
	case errN != nil || n < 2 || n&(n-1) != 0:
		return nil, formError("scrypt", "n must be a power of two up to 2^20")
	case errR != nil || errP != nil:
		return nil, formError("scrypt", "r and p must be numbers from 1 to 64")
	case 128*n*r > MaxHashMemory || 128*n*r*p > maxHashWork:
		return nil, formError("scrypt", "128 × n × r may be at most %d MiB, and p times that at most %d MiB", MaxHashMemory>>20, maxHashWork>>20)
	case errDigest != nil || len(digest) < minDigest || len(digest) > maxDigest:
		return nil, formError("scrypt", "the hash must be %d to %d bytes in base64", minDigest, maxDigest)
	case part[1] == "" || len(part[1]) > maxSalt:
		return nil, formError("scrypt", "the salt must have 1 to %d characters", maxSalt)
	}
	return &scryptHash{int(n), int(r), int(p), part[1], digest}, nil // #nosec G115 -- bounded above
}

func (h *scryptHash) matches(password string) bool {
	got, err := scrypt.Key([]byte(password), []byte(h.salt), h.n, h.r, h.p, len(h.digest))
	return err == nil && subtle.ConstantTimeCompare(got, h.digest) == 1
}

func (h *scryptHash) memory() uint64 { return 128 * uint64(h.n) * uint64(h.r) } // #nosec G115 -- positive

func (h *scryptHash) form() string { return fmt.Sprintf("scrypt n=%d r=%d p=%d", h.n, h.r, h.p) }

func (h *scryptHash) blank() passwordHash {
	b := *h
	b.salt, b.digest = strings.Repeat("0", len(h.salt)), make([]byte, len(h.digest))
	return &b
}
