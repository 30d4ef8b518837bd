package testserver_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grantor-auth/grantor/internal/testserver"
)

func TestClaims(t *testing.T) {
	s := serve(t, testserver.Options{})
	of := s.introspect
	machine := s.does("POST", "/test/tokens", members{"scope": "orders:read", "claims": members{"tenant_id": "t-7"}})
	require.Equal(t, "t-7", of(machine["access_token"])["tenant_id"])
	s.does("POST", "/test/users", members{"sub": "u-1", "username": "ada", "password": "correct horse", "claims": members{"role": "editor"}})
	user := s.does("POST", "/test/tokens", members{"scope": "orders:read", "sub": "u-1"})
	require.Equal(t, "editor", of(user["access_token"])["role"])
	user = s.does("POST", "/test/tokens", members{"scope": "orders:read", "sub": "u-1", "claims": members{"role": "reader"}})
	require.Equal(t, "reader", of(user["access_token"])["role"])
	require.NotContains(t, of(s.does("POST", "/test/tokens", members{"scope": "orders:read"})["access_token"]), "tenant_id")
	for _, path := range []string{"/test/tokens", "/test/users"} {
		code, got := s.ask("POST", path, members{"scope": "orders:read", "sub": "u-2", "username": "bob", "password": "correct horse", "claims": members{"sub": "root"}})
		if path == "/test/tokens" {
			code, got = s.ask("POST", path, members{"scope": "orders:read", "claims": members{"sub": "root"}})
		}
		require.Equal(t, 400, code, path)
		require.Contains(t, got["error_description"], `claims: claim "sub": the name has a meaning by RFC 7519 §4.1`)
	}
}
