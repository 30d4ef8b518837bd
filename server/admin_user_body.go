package server

import (
	"github.com/grantor-auth/grantor/claims"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/users"
)

// userBody is what may be said of a user. Absent members change nothing.
type userBody struct {
	Sub          string      `json:"sub"`
	Username     string      `json:"username"`
	Password     string      `json:"password"`
	PasswordHash string      `json:"password_hash"`
	Scope        *string     `json:"scope"`
	Claims       *claims.Set `json:"claims"` // all of them: {} removes them
	Disabled     *bool       `json:"disabled"`
}

// checkClaims says whether tokens may say the claims of the body.
func (b *userBody) checkClaims() error {
	if b.Claims == nil {
		return nil
	}
	if err := b.Claims.Check(); err != nil {
		return refusal(codeInvalidRequest, "claims: %s", err)
	}
	return nil
}

// hash returns the hash of the password that the body names, "" where it names none.
func (b *userBody) hash() (string, error) {
	switch {
	case b.Password != "" && b.PasswordHash != "":
		return "", refusal(codeInvalidRequest, "password and password_hash exclude each other: send one of them")
	case b.PasswordHash != "":
		if err := users.CheckHash(b.PasswordHash); err != nil {
			return "", refusal(codeInvalidRequest, "password_hash: %s", err)
		}
		return b.PasswordHash, nil
	case b.Password != "":
		if err := users.CheckNewPassword(b.Password); err != nil {
			return "", refusal(codeInvalidRequest, "password: %s", err)
		}
		return users.Hash(b.Password)
	}
	return "", nil
}

func (b *userBody) rules(known *scopes.Catalogue) (*scopes.Rules, error) {
	if b.Scope == nil {
		return nil, nil //nolint:nilnil // no scope of the user's own
	}
	rules, err := scopes.ParseRules(*b.Scope)
	if err == nil {
		err = users.CheckKnownScope(rules, known)
	}
	if err != nil {
		return nil, refusal(codeInvalidRequest, "scope: %s", err)
	}
	return &rules, nil
}
