package clients

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// Stored is a registration with what belongs to its life in the registry.
type Stored struct {
	Registration
	Epoch     Epoch
	CreatedAt time.Time
	UpdatedAt time.Time
	Token     SecretHash // of the registration access token (RFC 7592); zero: it has none
	Dynamic   bool       // made by RFC 7591, with the limits of such a client
	Registrar string     // the client whose token opened the registration
	Given     *Given     // the most that its own token can make of it; nil: what it is

	Stated         []string // members that a change names: set by Manager.Update's edit
	MaxOfRegistrar int      // of the registrar's live registrations, for Create; 0: no bound
}

// clientRecord is the JSON of a Stored.
type clientRecord struct {
	Version int `json:"v"`
	Registration
	Epoch     string      `json:"epoch"`
	CreatedAt time.Time   `json:"created_at"`
	UpdatedAt time.Time   `json:"updated_at"`
	Token     *SecretHash `json:"registration_token,omitempty"`
	Dynamic   bool        `json:"dynamic,omitempty"`
	Registrar string      `json:"registrar,omitempty"`
	Given     *Given      `json:"given,omitempty"`
}

const recordVersion = 1

func (s *Stored) text() (string, error) {
	r := clientRecord{Version: recordVersion, Registration: s.Registration, Epoch: hex.EncodeToString(s.Epoch[:]),
		CreatedAt: s.CreatedAt.UTC().Truncate(time.Second), UpdatedAt: s.UpdatedAt.UTC().Truncate(time.Second), Dynamic: s.Dynamic, Registrar: s.Registrar, Given: s.Given}
	if s.Token != (SecretHash{}) {
		r.Token = &s.Token
	}
	text, err := json.Marshal(r)
	return string(text), err
}

// readStored reads what text wrote for the client id.
func readStored(id, text string) (*Stored, error) {
	var r clientRecord
	if err := json.Unmarshal([]byte(text), &r); err != nil || r.Version != recordVersion {
		return nil, fmt.Errorf("%w: version %d", ErrRecord, r.Version)
	}
	s := &Stored{Registration: r.Registration, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, Dynamic: r.Dynamic, Registrar: r.Registrar, Given: r.Given}
	if r.ID != id {
		return nil, fmt.Errorf("%w: it belongs to another client", ErrRecord)
	}
	epoch, err := hex.DecodeString(r.Epoch)
	if err != nil || len(epoch) != len(s.Epoch) {
		return nil, fmt.Errorf("%w: its epoch", ErrRecord)
	}
	copy(s.Epoch[:], epoch)
	if r.Token != nil {
		s.Token = *r.Token
	}
	return s, nil
}
