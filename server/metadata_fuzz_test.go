package server

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/scopes"
)

// FuzzReadMetadata: whoever registers asks for ordinary scopes by client_credentials and for
// nothing else (RFC 7591 §5).
func FuzzReadMetadata(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte, update bool) {
		m, err := readMetadata(body, update)
		if err != nil {
			var refused *Error
			require.ErrorAs(t, err, &refused)
			require.Equal(t, codeInvalidMetadata, refused.Code)
			return
		}
		require.Contains(t, []clients.Method{clients.MethodBasic, clients.MethodPost}, m.Method)
		require.NotEmpty(t, m.Grants)
		require.False(t, slices.ContainsFunc(m.Grants, func(g string) bool { return g != clients.GrantClientCredentials }))
		for token := range strings.FieldsSeq(m.Scope) {
			require.False(t, scopes.IsReserved(token) || strings.Contains(token, "*"))
		}
		var r clients.Registration
		m.into(&r)
		require.False(t, r.AsksReserved())
		var own clients.Registration
		own.Take(&m.Registration, ownMembers())
		require.Equal(t, own, r, "nothing else of a body reaches the registration")
		m.ID = ""
		require.Equal(t, own, m.Registration, "nor is read from it")
	})
}
