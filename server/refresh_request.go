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
}

// hashRequest names what a refresh asked for: only the same question gets the same answer.
func hashRequest(scope string, resources []string) [16]byte {
	set, _ := scopes.Parse(scope) // well formed, see refreshScope
	sorted := slices.Clone(resources)
	slices.Sort(sorted)
	sum := sha256.Sum256([]byte(set.String() + "\x00" + strings.Join(sorted, "\x00")))
	return [16]byte(sum[:16])
}
