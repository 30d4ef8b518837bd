package clients

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Secret is one client secret as it is kept: its hash, never its text.
type Secret struct {
	Hash      SecretHash `json:"hash"`
	CreatedAt time.Time  `json:"created_at,omitzero" toml:"-"` // zero: not known
	ExpiresAt time.Time  `json:"expires_at,omitzero"`          // zero: does not expire

	// FormerID is the ID that the secret had while its hash was a slow one; "": it had none.
	FormerID string `json:"former_id,omitempty" toml:"-"`

	used   *lastUse    // shared by all copies; nil: nobody asks
	proved *slowSecret // likewise, of a slow hash
	named  string      // see Credential; it is needed for each request, and made once
}

// ID names a secret among those of its client: the first eight digits of its hash.
func (s Secret) ID() string { return s.Hash.id() }

func (h SecretHash) id() string {
	sum := h.sum
	if h.Slow() {
		sum = sha256.Sum256([]byte(h.slow))
	}
	return fmt.Sprintf("%x", sum[:4])
}

// lastUse is the minute in which a secret was last used on this node, in minutes since 1970:
// coarse, and one atomic store at most a minute.
type lastUse struct {
	minute, stored atomic.Int64
	first          chan struct{} // signals a first use that Redis should know soon; nil: any turn will do
}

// note reports whether this is the first use of a minute.
func (u *lastUse) note(now time.Time) bool {
	m := now.Unix() / 60
	if u == nil || u.minute.Load() == m {
		return false
	}
	u.minute.Store(m)
	if u.first != nil && u.stored.Load() == 0 {
		signal(u.first)
	}
	return true
}

// noted returns copies of secrets whose uses are noted from now on.
func noted(list []Secret) []Secret {
	list = slices.Clone(list)
	for i := range list {
		list[i].used, list[i].named = new(lastUse), credentialSecret+list[i].ID()
		if list[i].Hash.Slow() {
			list[i].proved = new(slowSecret)
		}
	}
	return list
}

// signal wakes who waits for wake, once for any number of signals.
func signal(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// SecretHash is what is kept of a secret: the SHA-256 of its bytes, which is enough for 256 random
// bits and not for a word that somebody chose (RFC 6749 §10.10), or a slow hash, as of passwords.
// Hashes are compared by ==.
type SecretHash struct {
	sum  [sha256.Size]byte
	slow string // "": sum is the hash
}

// HashPrefix begins the text of the SHA-256 of a secret.
const HashPrefix = "sha256:"

// HashSecret returns the SHA-256 of a secret's text.
func HashSecret(secret string) SecretHash { return SecretHash{sum: sha256.Sum256([]byte(secret))} }

// ParseHash reads "sha256:" and 64 lower-case hexadecimal digits.
func ParseHash(text string) (SecretHash, error) {
	var h SecretHash
	digits, ok := strings.CutPrefix(text, HashPrefix)
	if !ok || len(digits) != 2*len(h.sum) || strings.ToLower(digits) != digits {
		return h, errHash
	}
	if _, err := hex.Decode(h.sum[:], []byte(digits)); err != nil {
		return SecretHash{}, errHash
	}
	return h, nil
}

// errHash quotes nothing: what stands in the wrong place may be the secret itself.
var errHash = errors.New(`a secret's hash is "sha256:" and 64 lower-case hexadecimal digits. "grantor secret new" makes a secret and its hash; "grantor hash-secret" hashes a secret that you have`)

// Equal compares in constant time.
func (h SecretHash) Equal(other SecretHash) bool {
	return h.slow == other.slow && subtle.ConstantTimeCompare(h.sum[:], other.sum[:]) == 1
}

// String returns the form that UnmarshalText reads.
func (h SecretHash) String() string {
	if h.Slow() {
		return h.slow
	}
	return HashPrefix + hex.EncodeToString(h.sum[:])
}

// MarshalText is String.
func (h SecretHash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText is ParseHash, and ParseSlowHash for the texts that begin like one.
func (h *SecretHash) UnmarshalText(text []byte) (err error) {
	if looksSlow(string(text)) {
		*h, err = ParseSlowHash(string(text))
		return err
	}
	*h, err = ParseHash(string(text))
	return err
}

// check compares a presented secret's hash with each of the client's, valid or expired,
// always MaxSecrets times, so that time tells nothing (RFC 6749 §10.10). c may be nil:
// an unknown client costs the same. It returns the secret that is equal, if there is one.
func (c *Client) check(presented SecretHash, now time.Time) (found *Secret, reason AuthReason) {
	var stored [MaxSecrets]Secret
	n := 0
	if c != nil {
		n = copy(stored[:], c.Secrets)
	}
	reason = ReasonWrongSecret
	for i := range stored {
		equal := subtle.ConstantTimeCompare(presented.sum[:], stored[i].Hash.sum[:]) == 1
		if i >= n || !equal || stored[i].Hash.Slow() {
			continue
		}
		if end := stored[i].ExpiresAt; !end.IsZero() && !now.Before(end) {
			found, reason = &c.Secrets[i], ReasonSecretExpired
			continue
		}
		return &c.Secrets[i], ""
	}
	return found, reason
}

// checkSecrets says what is wrong with a client's secrets, whatever else it is.
func (c *Client) checkSecrets(bad badFunc) {
	if len(c.Secrets) > MaxSecrets {
		bad("secrets", "a client has at most %d secrets; there are %d", MaxSecrets, len(c.Secrets))
	}
	for i := range c.Secrets {
		if c.Secrets[i].Hash == (SecretHash{}) {
			bad("secrets", "secret %d has no hash: \"grantor secret new\" makes one", i+1)
		}
	}
}
