// Package claims is what tokens say beyond the claims that the RFCs define: a tenant, a plan, a
// role. A Set is one immutable value: reading it is the only way in, String writes it back. The
// package knows neither who gives claims nor where they are shown.
package claims

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/grantor-auth/grantor/internal/jsonobject"
)

// Bounds of a Set. Every reader keeps them.
const (
	MaxBytes     = 2048 // of the JSON of all claims of one token
	MaxNameBytes = 128
	maxDepth     = 4 // of lists and objects in one claim
)

// Set is custom claims by name. Two sets that say the same are equal by ==. The zero value is none.
type Set struct{ text string } // JSON without blanks, sorted by name; "": none

// Parse reads a JSON object. A member that is null counts as absent. It judges form alone: see
// Check. No error quotes a value.
func Parse(text []byte) (Set, error) {
	members, err := jsonobject.Read(text)
	if err != nil {
		return Set{}, errors.New(`claims must be one JSON object with unique names, such as {"tenant_id": "t-7"}`)
	}
	values := map[string]string{}
	for written, value := range members.All() {
		if string(value) == "null" {
			continue
		}
		name := string(written)
		if err := checkForm(name); err != nil {
			return Set{}, err
		}
		plain, err := canonical(value)
		if err != nil {
			return Set{}, fmt.Errorf("claim %q: %w", name, err)
		}
		values[name] = string(plain)
	}
	s := setOf(values)
	return s, s.checkSize()
}

// New returns a Set of values as encoding/json writes them: texts, numbers, booleans, lists and
// maps. It checks like Parse and Check.
func New(values map[string]any) (Set, error) {
	if len(values) == 0 {
		return Set{}, nil
	}
	text, err := json.Marshal(values)
	if err != nil {
		return Set{}, fmt.Errorf("claims must be values that JSON has: %w", err)
	}
	s, err := Parse(text)
	if err == nil {
		err = s.Check()
	}
	return s, err
}

// Trusted returns the Set of a text that String returned.
func Trusted(text string) Set { return Set{text} }

// String returns the JSON object, "" for no claims.
func (s Set) String() string { return s.text }

// IsZero says whether there are no claims. It makes omitzero leave them out.
func (s Set) IsZero() bool { return s.text == "" }

// MarshalJSON implements json.Marshaler.
func (s Set) MarshalJSON() ([]byte, error) {
	if s.text == "" {
		return []byte("{}"), nil
	}
	return []byte(s.text), nil
}

// UnmarshalJSON implements json.Unmarshaler. It reads like Parse; null is no claims.
func (s *Set) UnmarshalJSON(text []byte) (err error) {
	if string(text) == "null" {
		*s = Set{}
		return nil
	}
	*s, err = Parse(text)
	return err
}

// Check says whether a token may say these claims: no name that a standard or Grantor gives a
// meaning, and at most MaxBytes.
func (s Set) Check() error {
	for name := range s.members().All() {
		if err := CheckName(string(name)); err != nil {
			return err
		}
	}
	return s.checkSize()
}

func (s Set) checkSize() error {
	if len(s.text) > MaxBytes {
		return fmt.Errorf("the claims are %d bytes of JSON, and a token carries at most %d; "+
			"shorten them, or tie them to scopes", len(s.text), MaxBytes)
	}
	return nil
}

// Names returns the names, sorted.
func (s Set) Names() (names []string) {
	for name := range s.members().All() {
		names = append(names, string(name))
	}
	return names
}

// Map returns the values as encoding/json reads them; nil for no claims. The caller may change it.
func (s Set) Map() map[string]any {
	if s.text == "" {
		return nil
	}
	var values map[string]any
	_ = json.Unmarshal([]byte(s.text), &values) // it was written here
	return values
}

// With returns s with the claims of over, which win where both have a name. The result may exceed
// MaxBytes: see Check.
func (s Set) With(over Set) Set {
	switch "" {
	case s.text:
		return over
	case over.text:
		return s
	}
	values := s.values()
	maps.Copy(values, over.values())
	return setOf(values)
}

// Filter returns the claims whose names pass.
func (s Set) Filter(keep func(name string) bool) Set {
	values := s.values()
	before := len(values)
	maps.DeleteFunc(values, func(name, _ string) bool { return !keep(name) })
	if len(values) == before {
		return s
	}
	return setOf(values)
}

// AppendMembers writes the claims behind the members of an object that is being written.
func (s Set) AppendMembers(o jsonobject.Object) jsonobject.Object {
	if s.text == "" {
		return o
	}
	if len(o) == 0 {
		o = append(o, '{')
	} else {
		o = append(o, ',')
	}
	return append(o, s.text[1:len(s.text)-1]...)
}

func (s Set) members() jsonobject.Members {
	if s.text == "" {
		return nil
	}
	m, _ := jsonobject.Read([]byte(s.text)) // it was written here; otherwise nothing is said
	return m
}

func (s Set) values() map[string]string {
	values := map[string]string{}
	for name, value := range s.members().All() {
		values[string(name)] = string(value)
	}
	return values
}

// setOf writes values, which are JSON, below their names.
func setOf(values map[string]string) Set {
	if len(values) == 0 {
		return Set{}
	}
	var b strings.Builder
	for i, name := range slices.Sorted(maps.Keys(values)) {
		b.WriteByte("{,"[min(i, 1)])
		b.WriteString(`"` + name + `":` + values[name])
	}
	b.WriteByte('}')
	return Set{b.String()}
}
