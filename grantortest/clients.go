package grantortest

import "github.com/grantor-auth/grantor/internal/testserver"

// Client registers one more client with the client credentials grant (RFC 6749 §4.4), for a program
// under test that fetches tokens itself. It may ask for these scopes; without any, for every scope.
func (s *Server) Client(scopes ...string) Identity {
	s.t.Helper()
	made, err := s.inner.Client(testserver.NewClient{Scopes: scopes})
	s.must(err)
	return Identity(made)
}

// AddUser adds a user, or changes the one with this sub. The user logs in with name and password at
// App, and may be given these scopes; without any, every scope.
func (s *Server) AddUser(sub, name, password string, scopes ...string) {
	s.t.Helper()
	s.must(s.inner.AddUser(testserver.User{Sub: sub, Name: name, Password: password, Scopes: scopes}))
}

// RemoveUser takes a user out: logins and refreshes are refused from now on.
func (s *Server) RemoveUser(sub string) { s.inner.RemoveUser(sub) }
