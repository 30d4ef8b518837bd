package jwt

import (
	"crypto"
	"encoding/base64"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// maxKeyName is how long a kid may be that names its key in logs, in bytes.
const maxKeyName = 128

// nameOf returns the kid of a key, or its thumbprint (RFC 7638) where the kid is missing, or is no
// short text of printable ASCII.
func nameOf(j *jose.JSONWebKey) string {
	unprintable := func(r rune) bool { return r <= ' ' || r > '~' }
	if j.KeyID != "" && len(j.KeyID) <= maxKeyName && !strings.ContainsFunc(j.KeyID, unprintable) {
		return j.KeyID
	}
	sum, err := j.Thumbprint(crypto.SHA256)
	if err != nil {
		return "unnamed"
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

// KeyName names the key that verified the token: by its kid, or else by its thumbprint.
func (p Proof) KeyName() string { return p.key().name }

// Names returns the name of each key of the set, as KeyName has it.
func (s *KeySet) Names() (list []string) {
	if s == nil {
		return nil
	}
	for i := range s.keys {
		list = append(list, s.keys[i].name)
	}
	return list
}
