package middleware

import (
	"encoding/json"

	"github.com/grantor-auth/grantor/internal/jwt"
)

// Actor is who acts for the subject of a token that was exchanged for delegation (RFC 8693 §4.1).
// Decide by the outermost one alone: those within it acted before, and are for records.
type Actor struct {
	Subject     string `json:"sub"`
	SubjectType string `json:"sub_type"` // "client"; "": the server does not say
	Actor       *Actor `json:"act"`      // who acted before; nil: nobody
}

// maxActors bounds what a token may nest.
const maxActors = 16

// readActor reads a member act. An act that is none is an error: to leave it out would show a
// token as the subject's own.
func readActor(text []byte) (*Actor, error) {
	if len(text) == 0 || string(text) == "null" {
		return nil, nil //nolint:nilnil // nobody acts
	}
	var a Actor
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, jwt.Malformed
	}
	n := 0
	for one := &a; one != nil; one = one.Actor {
		if n++; one.Subject == "" || n > maxActors {
			return nil, jwt.Malformed
		}
	}
	return &a, nil
}

// clone copies those who acted before too.
func (a *Actor) clone() *Actor {
	if a == nil {
		return nil
	}
	mine := *a
	mine.Actor = mine.Actor.clone()
	return &mine
}
