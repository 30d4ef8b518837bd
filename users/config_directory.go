package users

import (
	"context"
	"errors"
	"fmt"

	"github.com/grantor-auth/grantor/claims"
	"github.com/grantor-auth/grantor/scopes"
)

// ConfigUser is one entry of [[users.config]].
type ConfigUser struct {
	ID           string
	Username     string
	PasswordHash string
	Scope        *scopes.Rules // nil: none of the user's own
	Claims       claims.Set
	Disabled     bool
}

// ConfigDirectory is the Directory of config.toml. It is immutable.
type ConfigDirectory struct {
	byName map[string]*User
	byID   map[string]*User
}

// ConfigUserError is a mistake in one entry of a list of users.
type ConfigUserError struct {
	Index int    // of the entry
	Field string // "id", "username", "password_hash", "scope" or "claims"
	Err   error
}

func (e *ConfigUserError) Error() string {
	return fmt.Sprintf("users.config entry %d: %s: %v", e.Index+1, e.Field, e.Err)
}
func (e *ConfigUserError) Unwrap() error { return e.Err }

// NewConfigDirectory checks a list of users. The error joins all that is wrong, each as a
// *ConfigUserError, and never quotes a hash.
func NewConfigDirectory(list []ConfigUser) (*ConfigDirectory, error) {
	s := &ConfigDirectory{byName: make(map[string]*User, len(list)), byID: make(map[string]*User, len(list))}
	var errs []error
	for i, entry := range list {
		bad := func(field string, err error) {
			if err != nil {
				errs = append(errs, &ConfigUserError{i, field, err})
			}
		}
		bad("password_hash", CheckHash(entry.PasswordHash))
		bad("scope", entry.checkScope())
		bad("claims", entry.Claims.Check())
		bad("id", s.checkID(entry.ID))
		name, err := s.freeName(entry.Username)
		bad("username", err)
		u := &User{
			ID: entry.ID, Username: name, Scope: entry.Scope, Claims: entry.Claims,
			Disabled: entry.Disabled, Credential: Credential{entry.PasswordHash},
		}
		s.byName[name], s.byID[entry.ID] = u, u
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

func (e *ConfigUser) checkScope() error {
	if e.Scope == nil {
		return nil
	}
	return CheckScope(*e.Scope)
}

func (s *ConfigDirectory) checkID(id string) error {
	if s.byID[id] != nil {
		return errors.New("another user has this id")
	}
	return CheckSubject(id)
}

func (s *ConfigDirectory) freeName(username string) (string, error) {
	name, err := NormalizeName(username)
	if err != nil {
		return "", err
	}
	if s.byName[name] != nil {
		return "", errors.New("another user has this name")
	}
	return name, nil
}

// Find implements Directory.
func (s *ConfigDirectory) Find(_ context.Context, name string) (*User, error) {
	return pickUser(s.byName, name)
}

// ByID implements Directory.
func (s *ConfigDirectory) ByID(_ context.Context, id string) (*User, error) {
	return pickUser(s.byID, id)
}

// hashes tells Hashing from the start what a hash usually costs here.
func (s *ConfigDirectory) hashes() map[string]passwordHash {
	all := make(map[string]passwordHash, len(s.byID))
	for id, u := range s.byID {
		if hash, err := parseHash(u.Credential.text); err == nil {
			all[id] = hash
		}
	}
	return all
}

func pickUser(from map[string]*User, key string) (*User, error) {
	u, ok := from[key]
	if !ok {
		return nil, ErrUnknown
	}
	found := *u
	return &found, nil
}
