package users

import (
	"context"
	"errors"
)

// Client secrets that somebody chose, or that other programs hashed, are hashed like passwords and
// checked in the same slots.

// HashSecret returns the hash of a weak client secret: argon2id in the PHC form, of its bytes as
// they are.
func HashSecret(secret string) string { return newArgon2(secret).String() }

// CheckSecretHash says whether text is a slow hash of a client secret that can be checked here.
func CheckSecretHash(text string) error {
	_, err := parseHash(text)
	if errors.Is(err, errNoPassword) {
		return errors.New("the secret's hash says that there is none")
	}
	return err
}

// MatchSecret compares a client secret in a slot. known tells without hashing, once it is known; it
// is asked before a slot is taken, and in it, since others may have learnt it meanwhile. Errors are
// those of CheckSecretHash and Do.
func (s *Slots) MatchSecret(ctx context.Context, text, secret string, known func() (right, known bool)) (bool, error) {
	if right, ok := known(); ok {
		return right, nil
	}
	hash, err := parseHash(text)
	if err != nil {
		return false, err
	}
	if b, ok := hash.(*bcryptHash); ok {
		secret = b.cut(secret)
	}
	var right bool
	err = s.hold(ctx, func() {
		var ok bool
		if right, ok = known(); !ok {
			s.checks.Add(1)
			right = s.matches(hash, secret)
		}
	})
	return right, err
}

// MatchesSecret compares a client secret outside the slots, for a command.
func MatchesSecret(text, secret string) bool {
	hash, err := parseHash(text)
	return err == nil && hash.matches(secret)
}
