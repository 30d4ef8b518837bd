package clients

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens/feed"
)

// Stored is a registration with what belongs to its life in the registry.
type Stored struct {
	Registration
	Epoch     Epoch
	Edition   Epoch // zero: it was never narrowed
	CreatedAt time.Time
	UpdatedAt time.Time
	Token     SecretHash // of the registration access token (RFC 7592); zero: it has none
	Dynamic   bool       // made by RFC 7591, with the limits of such a client
	Registrar string     // the client whose token opened the registration
	Given     *Given     // the most that its own token can make of it; nil: what it is

	Stated         []string // members that a change names: set by Manager.Update's edit
	MaxOfRegistrar int      // of the registrar's registrations, for Create; 0: no bound
}

// clientRecord is the JSON of a Stored.
type clientRecord struct {
	Version int `json:"v"`
	Registration
	Epoch     string      `json:"epoch"`
	Edition   string      `json:"edition,omitempty"`
	CreatedAt time.Time   `json:"created_at"`
	UpdatedAt time.Time   `json:"updated_at"`
	Token     *SecretHash `json:"registration_token,omitempty"`
	Dynamic   bool        `json:"dynamic,omitempty"`
	Registrar string      `json:"registrar,omitempty"`
	Given     *Given      `json:"given,omitempty"`
}

// A record of boundVersion is that of a client which earlier versions would take for one that
// proves less than it must: to them the record is unreadable.
const (
	recordVersion = 1
	boundVersion  = 2
)

func (r *Registration) version() int {
	if r.DPoPBound || r.CertificateBound || r.Method.ByCertificate() {
		return boundVersion
	}
	return recordVersion
}

func (s *Stored) text() (string, error) {
	r := clientRecord{Version: s.version(), Registration: s.Registration, Epoch: hex.EncodeToString(s.Epoch[:]),
		CreatedAt: s.CreatedAt.UTC().Truncate(time.Second), UpdatedAt: s.UpdatedAt.UTC().Truncate(time.Second), Dynamic: s.Dynamic, Registrar: s.Registrar, Given: s.Given}
	if s.Edition != (Epoch{}) {
		r.Edition = hex.EncodeToString(s.Edition[:])
	}
	if s.Token != (SecretHash{}) {
		r.Token = &s.Token
	}
	text, err := json.Marshal(r)
	return string(text), err
}

// readStored reads what text wrote for the client id.
func readStored(id, text string) (*Stored, error) {
	var r clientRecord
	if err := json.Unmarshal([]byte(text), &r); err != nil || r.Version != r.version() {
		return nil, fmt.Errorf("%w: version %d", ErrRecord, r.Version)
	}
	s := &Stored{Registration: r.Registration, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, Dynamic: r.Dynamic, Registrar: r.Registrar, Given: r.Given}
	if r.ID != id {
		return nil, fmt.Errorf("%w: it belongs to another client", ErrRecord)
	}
	if !readEpoch(&s.Epoch, r.Epoch) || r.Edition != "" && !readEpoch(&s.Edition, r.Edition) {
		return nil, fmt.Errorf("%w: its epoch", ErrRecord)
	}
	if r.Token != nil {
		s.Token = *r.Token
	}
	return s, nil
}

func readEpoch(e *Epoch, text string) bool {
	value, err := hex.DecodeString(text)
	return err == nil && copy(e[:], value) == len(e) && len(value) == len(e)
}

// feedNames returns the names that end in the revocation feed with this record.
func (s *Stored) feedNames() []string {
	if s.Disabled {
		return nil // it has no tokens
	}
	return []string{feed.Client(s.Epoch, s.Edition)}
}

// narrower says whether a change takes something from the tokens that the client has. How the
// client authenticates, what it may see by introspection, and the lifetimes of tokens to come do
// not matter to those.
func (s *Stored) narrower(before *Stored) bool {
	had, err1 := scopes.ParseRules(before.Scope)
	has, err2 := scopes.ParseRules(s.Scope)
	return err1 != nil || err2 != nil || !had.Within(has) ||
		s.Epoch != before.Epoch || s.Disabled && !before.Disabled ||
		lacks(s.Grants, before.Grants) || lacks(s.Audience, before.Audience) ||
		before.Resource != "" && s.Resource != before.Resource || s.otherExchange(before)
}

// lacks says whether a list lacks something that it had.
func lacks(list, had []string) bool {
	return slices.ContainsFunc(had, func(one string) bool { return !slices.Contains(list, one) })
}
