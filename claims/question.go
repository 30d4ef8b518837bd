package claims

import "errors"

// Question is what a hook learns of a token that is about to be issued.
type Question struct {
	ClientID    string `json:"client_id"`
	Subject     string `json:"sub"`      // the user's id, or the client's for a machine
	SubjectType string `json:"sub_type"` // "user", "client" or "external": a subject of a trusted issuer
	Scope       string `json:"scope"`    // of the token
	Grant       string `json:"grant_type"`
}

// Errors of those who give claims. No token is issued after either.
var (
	// ErrUnavailable: the application does not answer, or not 200.
	ErrUnavailable = errors.New("the application that gives claims cannot answer")
	// ErrAnswer: what was given cannot stand in a token.
	ErrAnswer = errors.New("the claims cannot be used")
)
