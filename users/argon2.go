package users

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// What Hash uses: OWASP's recommendation with the least memory. RFC 9106 §4 names 64 MiB and
// four lanes for servers that hash now and then; here hashes run in one slot for each
// core, so one lane each wastes nothing, and 19 MiB keep slots × memory small enough for
// containers at about 20 ms of one core.
const (
	argon2Memory  = 19456 // KiB
	argon2Time    = 2
	argon2Threads = 1
	argon2Salt    = 16
	argon2Digest  = 32
)

// argon2Hash is $argon2id$ or $argon2i$ in the PHC string format, version 19 (RFC 9106).
type argon2Hash struct {
	id              bool // argon2id, else argon2i
	memoryKiB, time uint32
	threads         uint8
	salt, digest    []byte
}

// ownForm returns the parameters of new hashes, with an empty salt and digest.
func ownForm() *argon2Hash {
	return &argon2Hash{
		id: true, memoryKiB: argon2Memory, time: argon2Time, threads: argon2Threads,
		salt: make([]byte, argon2Salt), digest: make([]byte, argon2Digest),
	}
}

func newArgon2(password string) *argon2Hash {
	h := ownForm()
	rand.Read(h.salt) //nolint:errcheck // crypto/rand.Read never returns an error since Go 1.24
	h.digest = h.derive(password)
	return h
}

// parseArgon2 reads "argon2id$v=19$m=…,t=…,p=…$salt$hash".
func parseArgon2(text string) (passwordHash, error) {
	part := strings.Split(text, "$")
	if len(part) != 5 || part[0] != "argon2id" && part[0] != "argon2i" {
		return nil, formError("argon2", `must read "$argon2id$v=19$m=…,t=…,p=…$salt$hash"; argon2i is accepted too, argon2d is not`)
	}
	if part[1] != "v=19" {
		return nil, formError("argon2", "must be of version 19")
	}
	h := &argon2Hash{id: part[0] == "argon2id"}
	if err := h.parseCost(part[2]); err != nil {
		return nil, err
	}
	var errSalt, errDigest error
	h.salt, errSalt = base64.RawStdEncoding.DecodeString(part[3])
	h.digest, errDigest = base64.RawStdEncoding.DecodeString(part[4])
	switch {
	case errSalt != nil || len(h.salt) < 8 || len(h.salt) > maxSalt:
		return nil, formError("argon2", "the salt must be 8 to %d bytes in base64 without padding", maxSalt)
	case errDigest != nil || len(h.digest) < minDigest || len(h.digest) > maxDigest:
		return nil, formError("argon2", "the hash must be %d to %d bytes in base64 without padding", minDigest, maxDigest)
	}
	return h, nil
}

func (h *argon2Hash) parseCost(text string) error {
	part := strings.Split(text, ",")
	limits := []uint64{MaxHashMemory >> 10, 64, 32}
	var value [3]uint64
	for i, name := range []string{"m=", "t=", "p="} {
		if len(part) != len(value) || !strings.HasPrefix(part[i], name) {
			return formError("argon2", "its parameters must read m=…,t=…,p=…")
		}
		n, err := number(part[i][len(name):], limits[i])
		if err != nil {
			return formError("argon2", "%s: %v", name, err)
		}
		value[i] = n
	}
	if value[0] < 8*value[2] || value[0]<<10*value[1] > maxHashWork {
		return formError("argon2", "m must be at least 8 × p, and m × t at most %d KiB", maxHashWork>>10)
	}
	h.memoryKiB, h.time, h.threads = uint32(value[0]), uint32(value[1]), uint8(value[2]) // #nosec G115 -- bounded above
	return nil
}

func (h *argon2Hash) derive(password string) []byte {
	derive := argon2.Key
	if h.id {
		derive = argon2.IDKey
	}
	return derive([]byte(password), h.salt, h.time, h.memoryKiB, h.threads, uint32(len(h.digest))) // #nosec G115 -- at most maxDigest
}

func (h *argon2Hash) matches(password string) bool {
	return subtle.ConstantTimeCompare(h.derive(password), h.digest) == 1
}

func (h *argon2Hash) memory() uint64 { return uint64(h.memoryKiB) << 10 }

func (h *argon2Hash) name() string {
	if h.id {
		return "argon2id"
	}
	return "argon2i"
}

func (h *argon2Hash) form() string {
	return fmt.Sprintf("%s m=%d t=%d p=%d", h.name(), h.memoryKiB, h.time, h.threads)
}

func (h *argon2Hash) blank() passwordHash {
	b := *h
	b.salt, b.digest = make([]byte, len(h.salt)), make([]byte, len(h.digest))
	return &b
}

// String returns the PHC form.
func (h *argon2Hash) String() string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$%s$v=%d$m=%d,t=%d,p=%d$%s$%s", h.name(), argon2.Version, h.memoryKiB, h.time, h.threads, b64(h.salt), b64(h.digest))
}
