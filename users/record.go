package users

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/claims"
)

// userRecord is a user as Redis keeps it: JSON, with a version in front of everything.
type userRecord struct {
	Version  int        `json:"v"`
	ID       string     `json:"id"`
	Username string     `json:"username"`
	Password string     `json:"password"` // the hash's text
	Scope    *string    `json:"scope,omitempty"`
	Claims   claims.Set `json:"claims,omitzero"`
	Disabled bool       `json:"disabled,omitempty"`
	Names    []string   `json:"names,omitempty"` // that lead here beside Username, while Rename is under way
	Created  time.Time  `json:"created_at"`      // for people: no decision depends on a node's clock
}

const recordVersion = 1

// parseRecord reads a record. An unreadable one and one of a later version are errors that wrap
// ErrRecord: never guessed at.
func parseRecord(text string) (*userRecord, error) {
	var r userRecord
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return nil, unusable("it is not JSON")
	}
	if r.Version != recordVersion {
		return nil, unusable("it is of version %d, this program knows %d", r.Version, recordVersion)
	}
	return &r, nil
}

func (r *userRecord) String() string {
	text, err := json.Marshal(r) // #nosec G117 -- a hash
	if err != nil {
		panic(err) // strings, a boolean and a time always marshal
	}
	return string(text)
}

// userOf reads a record into a User.
func userOf(text string) (*User, error) {
	r, err := parseRecord(text)
	if err != nil {
		return nil, err
	}
	return r.user()
}

func (r *userRecord) user() (*User, error) {
	scope, err := readScope(r.Scope)
	if err != nil {
		return nil, err
	}
	return &User{ID: r.ID, Username: r.Username, Scope: scope, Claims: r.Claims, Disabled: r.Disabled, Credential: Credential{r.Password}}, nil
}

// newRecord checks what Add was given and draws an id where there is none.
func newRecord(n NewUser) (*userRecord, error) {
	name, err := NormalizeName(n.Username)
	if err != nil {
		return nil, err
	}
	r := &userRecord{Version: recordVersion, ID: n.ID, Username: name, Password: n.PasswordHash, Claims: n.Claims, Disabled: n.Disabled, Created: time.Now().UTC()}
	if r.ID == "" {
		r.ID = "u-" + strings.ToLower(rand.Text())
	}
	r.Scope, err = writeScope(n.Scope)
	return r, errors.Join(err, CheckSubject(r.ID), CheckHash(n.PasswordHash), n.Claims.Check())
}
