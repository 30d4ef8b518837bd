package testserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/grantor-auth/grantor/claims"
	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/tokens"
)

// Want describes a token. Scopes are required; the zero value of each other field is the server's
// own choice.
type Want struct {
	Scopes   []string
	Subject  string        // a user's sub: the user logs in; "": the token is a machine's
	Client   string        // the id of the client that it is issued to
	Lifetime time.Duration // whole seconds
	Audience []string
	JWT      bool // RFC 9068; else opaque

	Claims map[string]any // custom claims: a user keeps them for later tokens; nil: those that the user has

	Prove func(nonce string) string // makes the header DPoP of the request, with a nonce or ""; nil: the token is unbound
}

// Issued is what the token endpoint answers (RFC 6749 §5.1).
type Issued struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"` // seconds
	RefreshToken string `json:"refresh_token,omitempty"`
	Scope        string `json:"scope"`
}

// Token issues a token. Scopes, users and clients that do not exist are made.
func (s *Server) Token(want Want) (issued Issued, err error) {
	if len(want.Scopes) == 0 {
		return issued, errors.New("a token needs at least one scope")
	}
	s.issuing.Lock()
	defer s.issuing.Unlock()
	if err := s.declare(want.Scopes); err != nil {
		return issued, err
	}
	custom, err := claims.New(want.Claims)
	if err != nil {
		return issued, fmt.Errorf("claims: %w", err)
	}
	client, like := want.client()
	if want.Subject == "" {
		like.claims = custom
	}
	if err := s.prepare(client, like); err != nil {
		return issued, err
	}
	form := url.Values{"grant_type": {clients.GrantClientCredentials}, "scope": {strings.Join(want.Scopes, " ")}}
	if want.Subject != "" {
		name, password := s.users.known(want.Subject)
		if want.Claims != nil {
			s.users.setClaims(want.Subject, custom)
		}
		form.Set("grant_type", clients.GrantPassword)
		form.Set("username", name)
		form.Set("password", password)
	}
	res := s.askToken(s.identity(client), form, want.Prove)
	if res.Code != http.StatusOK {
		return issued, fmt.Errorf("no token for %v: %d %s", want.Scopes, res.Code, strings.TrimSpace(res.Body.String()))
	}
	if err := json.Unmarshal(res.Body.Bytes(), &issued); err != nil {
		return issued, fmt.Errorf("the answer of the token endpoint: %w", err)
	}
	if len(want.Audience) == 0 {
		return issued, nil
	}
	return issued, s.hasAudience(issued.AccessToken, want.Audience)
}

// askToken asks the token endpoint, with a proof where there is one (RFC 9449 §5). It asks again
// with the nonce that the server demands (§8).
func (s *Server) askToken(client Identity, form url.Values, prove func(nonce string) string) *httptest.ResponseRecorder {
	if prove == nil {
		return s.post("/oauth2/token", client, form)
	}
	res := s.post("/oauth2/token", client, form, "DPoP", prove(""))
	if nonce := res.Header().Get("DPoP-Nonce"); nonce != "" && res.Code == http.StatusBadRequest {
		res = s.post("/oauth2/token", client, form, "DPoP", prove(nonce))
	}
	return res
}

// hasAudience says whether a token got the audience that was wanted: a scope's resource goes first.
func (s *Server) hasAudience(token string, want []string) error {
	found, err := s.introspect(token)
	if err == nil && !slices.Equal(slices.Sorted(slices.Values(found.Audience)), slices.Sorted(slices.Values(want))) {
		err = fmt.Errorf("a scope of this token has a resource in the configuration, so its audience is %q: leave the audience out", found.Audience)
	}
	return err
}

// client returns the client of a token, and what the client must be like.
func (w Want) client() (id string, like shape) {
	like = shape{lifetime: w.Lifetime, audience: strings.Join(w.Audience, " ")}
	switch id = w.Client; {
	case id != "":
	case w.Subject != "":
		id = appID
	case w.JWT:
		id = signedID
	default:
		id = machineID
	}
	if w.JWT {
		like.format = clients.FormatJWT
	}
	return id, like
}

// Revoke ends a token that is active (RFC 7009). Of a refresh token the session ends, or nothing
// happens where it is unknown: no other client may see it.
func (s *Server) Revoke(token string) error {
	if strings.HasPrefix(token, tokens.PrefixRefresh) {
		return s.revokeAs(token, s.refreshing()...)
	}
	client, err := s.clientOf(token)
	if err != nil {
		return err
	}
	return s.revokeAs(token, client)
}

// revokeAs asks as each of these clients: a client ends only its own tokens (RFC 7009 §2.1).
func (s *Server) revokeAs(token string, list ...Identity) error {
	for _, client := range list {
		if res := s.post("/oauth2/revoke", client, url.Values{"token": {token}}); res.Code != http.StatusOK {
			return fmt.Errorf("the token cannot be revoked: %s", strings.TrimSpace(res.Body.String()))
		}
	}
	return nil
}

// Expire lets one access token end, as it would at the end of its lifetime: introspection calls it
// inactive. Other tokens stay.
func (s *Server) Expire(token string) error {
	return s.Revoke(token) // nothing outside the server can tell the two apart (RFC 7662 §2.2)
}

// clientOf returns the credentials of the client that a token was issued to.
func (s *Server) clientOf(token string) (Identity, error) {
	found, err := s.introspect(token)
	if err != nil {
		return Identity{}, err
	}
	if !found.Active {
		return Identity{}, errors.New("this is no active token of this server")
	}
	client := s.identity(found.ClientID)
	if client.ID == "" {
		return client, fmt.Errorf("the token was issued to client %q of the configuration: revoke it with the client's own secret", found.ClientID)
	}
	return client, nil
}

// introspected is what the server says of a token (RFC 7662 §2.2).
type introspected struct {
	Active   bool     `json:"active"`
	ClientID string   `json:"client_id"`
	Audience []string `json:"aud"`
}

func (s *Server) introspect(token string) (found introspected, err error) {
	res := s.post("/oauth2/introspect", s.API, url.Values{"token": {token}})
	if err := json.Unmarshal(res.Body.Bytes(), &found); err != nil || res.Code != http.StatusOK {
		return found, fmt.Errorf("the token cannot be introspected: %d %s", res.Code, strings.TrimSpace(res.Body.String()))
	}
	return found, nil
}

// post asks an endpoint in this process: no listener takes part, and Fail does not apply. Headers
// are names and values by turns.
func (s *Server) post(path string, client Identity, form url.Values, headers ...string) *httptest.ResponseRecorder {
	if client.Secret == "" {
		form.Set("client_id", client.ID)
	}
	r := httptest.NewRequest(http.MethodPost, s.Issuer+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	if client.Secret != "" {
		r.SetBasicAuth(client.ID, client.Secret)
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}
