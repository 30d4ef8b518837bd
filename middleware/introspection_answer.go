package middleware

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/scopes"
)

// answer is what RFC 7662 §2.2 lets a server say. Active is a pointer: an answer without it is
// none.
type answer struct {
	Active    *bool    `json:"active"`
	Scope     string   `json:"scope"`
	ClientID  string   `json:"client_id"`
	Username  string   `json:"username"`
	TokenType string   `json:"token_type"`
	Exp       float64  `json:"exp"`
	Iat       float64  `json:"iat"`
	Nbf       float64  `json:"nbf"`
	Sub       string   `json:"sub"`
	SubType   string   `json:"sub_type"`
	Aud       audience `json:"aud"`
	Iss       string   `json:"iss"`
	JTI       string   `json:"jti"`
	Cnf       raw      `json:"cnf"`

	// Of Grantor alone: another server may mean something else by these names.
	SID      lenient[string]   `json:"sid"`
	Rev      lenient[[]string] `json:"rev"`
	Position lenient[string]   `json:"position"`
	Networks []string          `json:"allowed_networks"` // of another type: the answer is none
	Act      json.RawMessage   `json:"act"`              // RFC 8693 §4.1

	claims map[string]any // the members that no standard defines
}

// lenient is a member that counts as absent when it has another type.
type lenient[V any] struct{ value V }

// UnmarshalJSON implements json.Unmarshaler.
func (l *lenient[V]) UnmarshalJSON(text []byte) error {
	if json.Unmarshal(text, &l.value) != nil {
		*l = lenient[V]{}
	}
	return nil
}

// raw is a member as it was written, null included.
type raw []byte

// UnmarshalJSON implements json.Unmarshaler.
func (m *raw) UnmarshalJSON(text []byte) error {
	*m = bytes.Clone(text)
	return nil
}

// audience is one text or a list (RFC 7519 §4.1.3).
type audience []string

// UnmarshalJSON implements json.Unmarshaler.
func (a *audience) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(a))
}

// isAccessToken says whether token_type is known: a DPoP token says to which key it is bound.
func (a *answer) isAccessToken() bool {
	return a.TokenType == "" || strings.EqualFold(a.TokenType, "Bearer") || strings.EqualFold(a.TokenType, "DPoP") && a.Cnf != nil
}

func (a *answer) token() (*Token, error) {
	bound, err := parseConfirmation(a.Cnf)
	if err != nil || strings.EqualFold(a.TokenType, "DPoP") && !bound.hasKey() {
		return nil, fmt.Errorf("introspection: %w: %w", ErrInvalidToken, errConfirmation)
	}
	set, err := scopes.ParseGranted(a.Scope)
	if err != nil {
		return nil, fmt.Errorf("introspection: %w", err)
	}
	networks, err := networksOf(a.Networks)
	if err != nil {
		return nil, err
	}
	actor, err := readActor(a.Act)
	if err != nil {
		return nil, fmt.Errorf("introspection: act: %w", err)
	}
	return &Token{Actor: actor, AllowedNetworks: networks, Subject: a.Sub, SubjectType: a.SubType, Username: a.Username, ClientID: a.ClientID, Scope: set,
		Audience: a.Aud, Issuer: a.Iss, ID: a.JTI, ExpiresAt: at(a.Exp), IssuedAt: at(a.Iat), NotBefore: at(a.Nbf),
		Session: a.SID.value, Claims: a.claims, Confirmation: bound, rev: a.Rev.value}, nil
}

func at(seconds float64) time.Time {
	if seconds <= 0 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}
