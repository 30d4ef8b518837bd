package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"golang.org/x/oauth2"
)

// keyHandler gets tokens by private_key_jwt (RFC 7523 §2.2), for which the Go SDK has no handler.
type keyHandler struct {
	clientID, issuer string
	key              *ecdsa.PrivateKey
	source           oauth2.TokenSource
}

func newKeyHandler(file, clientID, issuer string) (*keyHandler, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	key, err := jwt.ParseECPrivateKeyFromPEM(text)
	return &keyHandler{clientID: clientID, issuer: issuer, key: key}, err
}

// TokenSource implements auth.OAuthHandler.
func (h *keyHandler) TokenSource(context.Context) (oauth2.TokenSource, error) { return h.source, nil }

// Authorize implements auth.OAuthHandler: it follows the challenge of a 401 or 403 to a token.
func (h *keyHandler) Authorize(ctx context.Context, request *http.Request, response *http.Response) error {
	defer response.Body.Close()
	challenges, err := oauthex.ParseWWWAuthenticate(response.Header.Values("WWW-Authenticate"))
	if err != nil || len(challenges) == 0 {
		return fmt.Errorf("the server sends no challenge: %v", err)
	}
	asked := challenges[0].Params
	resource, err := oauthex.GetProtectedResourceMetadata(ctx, asked["resource_metadata"], request.URL.String(), http.DefaultClient)
	if err != nil {
		return err
	}
	if len(resource.AuthorizationServers) == 0 || resource.AuthorizationServers[0] != h.issuer {
		return fmt.Errorf("the server wants a token of another issuer than %s", h.issuer)
	}
	server, err := auth.GetAuthServerMetadata(ctx, h.issuer, http.DefaultClient)
	if err != nil || server == nil {
		return fmt.Errorf("%s has no metadata: %v", h.issuer, err)
	}
	h.source = oauth2.ReuseTokenSource(nil, &keySource{h, server.TokenEndpoint, url.Values{
		"grant_type": {"client_credentials"}, "scope": {asked["scope"]}, "resource": {resource.Resource}}})
	_, err = h.source.Token()
	return err
}

// keySource asks for one token at a time.
type keySource struct {
	handler  *keyHandler
	endpoint string
	form     url.Values
}

// Token implements oauth2.TokenSource. Each request has a fresh assertion.
func (s *keySource) Token() (*oauth2.Token, error) {
	now := time.Now()
	assertion, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.RegisteredClaims{
		Issuer: s.handler.clientID, Subject: s.handler.clientID, Audience: jwt.ClaimStrings{s.handler.issuer},
		ID: rand.Text(), IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(time.Minute)),
	}).SignedString(s.handler.key)
	if err != nil {
		return nil, err
	}
	s.form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	s.form.Set("client_assertion", assertion)
	response, err := http.Post(s.endpoint, "application/x-www-form-urlencoded", strings.NewReader(s.form.Encode()))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var answer struct {
		oauth2.Token
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", answer.Error, answer.Description)
	}
	answer.Expiry = now.Add(time.Duration(answer.ExpiresIn) * time.Second)
	return &answer.Token, nil
}
