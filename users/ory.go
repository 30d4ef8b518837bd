package users

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"strings"
)

// parsePHCPBKDF2 reads "pbkdf2-sha256$i=…,l=…$salt$hash" and its sister with SHA-512, as Ory's
// programs write them (github.com/ory/x/hasherx): base64 without padding, l bytes of hash.
func parsePHCPBKDF2(text string) (passwordHash, error) {
	part := strings.Split(text, "$")
	scheme := part[0]
	var prf func() hash.Hash
	switch scheme {
	case "pbkdf2-sha256":
		prf = sha256.New
	case "pbkdf2-sha512":
		prf = sha512.New
	default:
		return nil, formError("pbkdf2", "must be of SHA-256 or SHA-512")
	}
	if len(part) != 4 {
		return nil, formError(scheme, `must read "$%s$i=…,l=…$salt$hash"`, scheme)
	}
	i, l, ok := strings.Cut(part[1], ",")
	if !ok || !strings.HasPrefix(i, "i=") || !strings.HasPrefix(l, "l=") {
		return nil, formError(scheme, "its parameters must read i=…,l=…")
	}
	iterations, err := number(i[2:], maxIterations)
	if err != nil {
		return nil, formError(scheme, "i: %v", err)
	}
	salt, errSalt := base64.RawStdEncoding.DecodeString(part[2])
	digest, errDigest := base64.RawStdEncoding.DecodeString(part[3])
	size, errSize := number(l[2:], maxPBKDF2Digest)
	switch {
	case errSalt != nil || len(salt) == 0 || len(salt) > maxSalt:
		return nil, formError(scheme, "the salt must be 1 to %d bytes in base64 without padding", maxSalt)
	case errSize != nil || errDigest != nil || uint64(len(digest)) != size || size < minDigest:
		return nil, formError(scheme, "the hash must be l bytes, %d to %d, in base64 without padding", minDigest, maxPBKDF2Digest)
	}
	return &pbkdf2Hash{scheme, prf, int(iterations), string(salt), digest}, nil // #nosec G115 -- at most maxIterations
}

// maxPBKDF2Digest is more than maxDigest: Kratos writes 128 bytes in its tests.
const maxPBKDF2Digest = 128
