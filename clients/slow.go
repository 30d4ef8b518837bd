package clients

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// ErrSlowSecret is the error of Authenticate where only a slow hash can tell whether the secret is
// right: the Proof has the client, which is not proved yet, and ProveSlowly tells.
var ErrSlowSecret = errors.New("the client's secret is kept by a slow hash")

// maxSlowHash bounds the text of a slow hash, in bytes.
const maxSlowHash = 512

// slowSchemes are how slow hashes begin: the PHC form, bcrypt, and what Django writes.
func slowSchemes() []string {
	return []string{"$", "pbkdf2_", "argon2$", "bcrypt$", "bcrypt_", "scrypt$"}
}

func looksSlow(text string) bool {
	return slices.ContainsFunc(slowSchemes(), func(scheme string) bool { return strings.HasPrefix(text, scheme) })
}

// ParseSlowHash takes the text of a slow hash by its beginning. Whether it can be checked is
// Manager.CheckSlow's to say. The error quotes nothing: the text may be the secret itself.
func ParseSlowHash(text string) (SecretHash, error) {
	if !looksSlow(text) || len(text) > maxSlowHash || CheckSecret(text) != nil {
		return SecretHash{}, errHash
	}
	return SecretHash{slow: text}, nil
}

// Slow says whether it is a slow hash, and not SHA-256.
func (h SecretHash) Slow() bool { return h.slow != "" }

// bytes are what names a hash in keys of Redis.
func (h SecretHash) bytes() string {
	if h.Slow() {
		return h.slow
	}
	return string(h.sum[:])
}

// slowSecret is what this node has learnt of a secret whose hash is slow: the SHA-256 of the secret
// that was right. It is in memory alone: of a weak secret SHA-256 must not be stored.
type slowSecret struct {
	right atomic.Pointer[[sha256.Size]byte]
}

// compare says whether a secret is right, where this node has seen the right one.
func (s *slowSecret) compare(secret string) (right, known bool) {
	if s == nil {
		return false, false
	}
	want := s.right.Load()
	if want == nil {
		return false, false
	}
	sum := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(sum[:], want[:]) == 1, true
}

func (s *slowSecret) learn(secret string) {
	if s != nil {
		s.right.Store(new(sha256.Sum256([]byte(secret))))
	}
}

func (e *Secret) ended(now time.Time) bool { return !e.ExpiresAt.IsZero() && !now.Before(e.ExpiresAt) }

// hasSlowSecret says whether some valid secret of the client can be told by a slow hash alone.
func (c *Client) hasSlowSecret(now time.Time) bool {
	return c != nil && !c.Disabled && slices.ContainsFunc(c.Secrets, func(e Secret) bool { return e.Hash.Slow() && !e.ended(now) })
}

// SlowSecrets names the client's slow hashes: another text whenever one comes or goes.
func (c *Client) SlowSecrets() string {
	var ids []string
	for i := range c.Secrets {
		if c.Secrets[i].Hash.Slow() {
			ids = append(ids, c.Secrets[i].ID())
		}
	}
	return strings.Join(ids, " ")
}

// SlowMatch holds a secret against the text of a slow hash. known tells without hashing, once it is
// known; it is asked again after a wait. An error means that nobody knows.
type SlowMatch func(ctx context.Context, hash, secret string, known func() (right, known bool)) (bool, error)

// ProveSlowly is Authenticate for a client of ErrSlowSecret. From the first right secret on this
// node tells it by SHA-256; Proof.Slow names the hash, for Manager.Strengthen. Errors are
// *AuthError, and those of match.
func ProveSlowly(ctx context.Context, c *Client, secret string, now time.Time, match SlowMatch) (Proof, error) {
	for i := range c.Secrets {
		e := &c.Secrets[i]
		if !e.Hash.Slow() || e.ended(now) {
			continue
		}
		right, err := match(ctx, e.Hash.slow, secret, func() (bool, bool) { return e.proved.compare(secret) })
		if err != nil {
			return Proof{}, err
		}
		if right {
			e.proved.learn(secret)
			return Proof{Client: c, Credential: e.Credential(), Slow: e.Hash, used: e.used}, nil
		}
	}
	return Proof{}, &AuthError{ID: c.ID, Reason: ReasonWrongSecret}
}

// Strengthen puts the SHA-256 of a secret, which was right, in the place of its slow hash. A secret
// that somebody may have chosen keeps its slow hash, and so does one of config.toml. Of two nodes
// one replaces it, and an edit that comes between is kept.
func (m *Manager) Strengthen(ctx context.Context, id string, slow SecretHash, secret string) error {
	if m.configured(id) != nil || !RandomSecret(secret) {
		return nil
	}
	defer m.changed(ctx, id)
	gone := errors.New("the hash is gone")
	_, err := m.Redis.Change(ctx, id, func(s *Stored) error {
		i := slices.IndexFunc(s.Secrets, func(e Secret) bool { return e.Hash == slow })
		if i < 0 {
			return gone
		}
		s.Secrets[i].Hash, s.Secrets[i].FormerID = HashSecret(secret), slow.id()
		return nil
	})
	if errors.Is(err, gone) || errors.Is(err, ErrUnknown) {
		return nil
	}
	return err
}

// checkSlow refuses slow hashes that a client may not get.
func (m *Manager) checkSlow(r *Registration, had []Secret) error {
	for i := range r.Secrets {
		h := r.Secrets[i].Hash
		switch {
		case !h.Slow() || slices.ContainsFunc(had, func(e Secret) bool { return e.Hash == h }):
		case !m.WeakSecrets:
			return &FieldError{Field: "secrets", Err: errors.New("a slow hash is for weak secrets, which only the command line and config.toml may give: make a strong one, whose hash is sha256:…")}
		case m.CheckSlow != nil:
			if err := m.CheckSlow(h.slow); err != nil {
				return &FieldError{Field: "secrets", Err: err}
			}
		}
	}
	return nil
}

// What SHA-256 can protect (RFC 6749 §10.10).
const (
	minStrongSecret   = 22 // characters: 128 bits in base 62
	minStrongDistinct = 10
)

// CheckSecret says what is wrong with the text of a secret (RFC 6749 App. A.2).
func CheckSecret(secret string) error {
	for i := range len(secret) {
		if secret[i] < 0x20 || secret[i] > 0x7e {
			return errors.New("a client secret holds printable ASCII only (RFC 6749 App. A.2)")
		}
	}
	if len(secret) > MaxSecretBytes {
		return fmt.Errorf("a client secret has at most %d characters", MaxSecretBytes)
	}
	return nil
}

// StrongSecret says whether SHA-256 can protect a secret: it is long, and not regular.
func StrongSecret(secret string) bool {
	distinct := map[rune]bool{}
	for _, r := range secret {
		distinct[r] = true
	}
	return len(secret) >= minStrongSecret && len(distinct) >= minStrongDistinct
}

// RandomSecret is StrongSecret for a secret that comes from elsewhere: one of letters alone may be
// words.
func RandomSecret(secret string) bool {
	letter := func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }
	digit := func(r rune) bool { return r >= '0' && r <= '9' }
	return StrongSecret(secret) && strings.ContainsFunc(secret, letter) && strings.ContainsFunc(secret, digit)
}
