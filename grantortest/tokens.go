package grantortest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/grantor-auth/grantor/clients"
)

// Token returns an opaque access token of a machine with these scopes.
func (s *Server) Token(scopes ...string) string {
	s.t.Helper()
	s.declare(scopes)
	return s.issue(machineID, url.Values{"grant_type": {clients.GrantClientCredentials}}, scopes).AccessToken
}

// JWT returns a JWT access token of a machine with these scopes (RFC 9068), for an API that
// verifies with the key set.
func (s *Server) JWT(scopes ...string) string {
	s.t.Helper()
	s.declare(scopes)
	return s.issue(signedID, url.Values{"grant_type": {clients.GrantClientCredentials}}, scopes).AccessToken
}

// UserToken returns an opaque access token of a user with these scopes, after a login by password.
// A user whom nobody added is added, with sub as the name.
func (s *Server) UserToken(sub string, scopes ...string) string {
	s.t.Helper()
	return s.Login(sub, scopes...).AccessToken
}

// Issued is what a login answers (RFC 6749 §5.1).
type Issued struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	Scope        string `json:"scope"`
	ExpiresIn    int    `json:"expires_in"` // seconds
}

// Login is UserToken with the refresh token of the session, which App may use.
func (s *Server) Login(sub string, scopes ...string) Issued {
	s.t.Helper()
	s.declare(scopes)
	name, password := s.users.known(sub)
	return s.issue(appID, url.Values{"grant_type": {clients.GrantPassword}, "username": {name}, "password": {password}}, scopes)
}

// Revoke ends a token that is active (RFC 7009). Of a refresh token the session ends.
func (s *Server) Revoke(token string) {
	s.t.Helper()
	client := s.clientOf(token)
	if res := s.post("/oauth2/revoke", client, url.Values{"token": {token}}); res.Code != http.StatusOK {
		s.t.Fatalf("grantortest: the token cannot be revoked: %s", res.Body)
	}
}

// Expire lets one access token end, as it would at the end of its lifetime: introspection calls it
// inactive. Other tokens stay. A JWT that an API verifies itself ends by the API's clock alone: see
// Advance.
func (s *Server) Expire(token string) {
	s.t.Helper()
	s.Revoke(token) // nothing outside the server can tell the two apart (RFC 7662 §2.2)
}

// issue asks the token endpoint for one client.
func (s *Server) issue(client string, form url.Values, scopes []string) (issued Issued) {
	s.t.Helper()
	form.Set("scope", strings.Join(scopes, " "))
	res := s.post("/oauth2/token", s.identity(client), form)
	if res.Code != http.StatusOK {
		s.t.Fatalf("grantortest: no token for %v: %d %s", scopes, res.Code, res.Body)
	}
	if err := json.Unmarshal(res.Body.Bytes(), &issued); err != nil {
		s.t.Fatalf("grantortest: the answer of the token endpoint: %v", err)
	}
	return issued
}

// clientOf returns the credentials of the client that a token was issued to.
func (s *Server) clientOf(token string) Identity {
	s.t.Helper()
	var found struct {
		Active   bool   `json:"active"`
		ClientID string `json:"client_id"`
	}
	res := s.post("/oauth2/introspect", s.API, url.Values{"token": {token}})
	if err := json.Unmarshal(res.Body.Bytes(), &found); err != nil || res.Code != http.StatusOK || !found.Active {
		s.t.Fatalf("grantortest: this is no active token of this server: %d %s", res.Code, res.Body)
	}
	return s.identity(found.ClientID)
}

func (s *Server) identity(client string) Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secrets[client]
}

// post asks an endpoint in this process: no listener takes part, and Fail does not apply.
func (s *Server) post(path string, client Identity, form url.Values) *httptest.ResponseRecorder {
	if client.Secret == "" {
		form.Set("client_id", client.ID)
	}
	r := httptest.NewRequest(http.MethodPost, s.URL+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if client.Secret != "" {
		r.SetBasicAuth(client.ID, client.Secret)
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}
