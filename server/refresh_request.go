package server

import (
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
)

// refreshRequest is one use of a refresh token, with what its steps find out.
type refreshRequest struct {
	text    string // the refresh token, as presented
	asked   string // the scope parameter
	old     tokens.Token
	session *tokens.Session

	scope    scopes.Set // of the new access token, as its audience
	audience []string
	claims   string // custom ones, as tokens.Record has them
}

// hashRequest names what a refresh asked for: only the same question, by the same key, gets the
// same answer.
func hashRequest(scope string, resources []string, shown tokens.Confirmation) [16]byte {
	set, _ := scopes.Parse(scope) // well formed, see refreshScope
	sorted := slices.Clone(resources)
	slices.Sort(sorted)
	text := set.String() + "\x00" + strings.Join(sorted, "\x00")
	if !shown.IsZero() {
		text += "\x00\x00" + shown.JKT() + "\x00" + shown.X5T()
	}
	sum := sha256.Sum256([]byte(text))
	return [16]byte(sum[:16])
}
