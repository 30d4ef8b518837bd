package server

import (
	"net/http"
	"slices"
	"time"

	oauth2 "github.com/go-oauth2/oauth2/v4"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/http1"
)

// token issues tokens (RFC 6749 §3.2). The grant is checked before the library is asked, which would
// look at a password first, and which calls a grant that is switched off unauthorized_client.
func (s *Server) token(x *exchange) error {
	if err := s.grantAllowed(x); err != nil {
		return err
	}
	if err := parametersPresent(x); err != nil {
		return err
	}
	if ctx := x.gin.Request.Context(); http1.Carry(ctx, x) { // where the library finds it again
		defer http1.Carry(ctx, nil) // and nobody else: another request may be served under the same context
	} else {
		x.gin.Request = x.gin.Request.WithContext(x)
	}
	grant, request, err := s.library.ValidationTokenRequest(x.gin.Request)
	if err != nil {
		return err
	}
	info, err := s.library.GetAccessToken(x, grant, request)
	if err != nil {
		return err
	}
	s.recordIssue(x, info.GetScope())
	writeToken(x, info)
	return nil
}

// grantAllowed answers, in the order of RFC 6749 §5.2: is there a grant type, is it served
// here, was it given to this client?
func (s *Server) grantAllowed(x *exchange) error {
	switch x.grant = x.form.Get("grant_type"); {
	case x.grant == "":
		return refusal(codeInvalidRequest, "grant_type is required (RFC 6749 §5.2)")
	case !slices.Contains(s.grantTypes, x.grant):
		x.grant = ""
		return refusal(codeUnsupportedGrantType, "this grant type is not served here; grant_types_supported of the metadata lists those that are")
	case x.client == nil:
		return &Error{Code: codeInvalidClient, Reason: "no_client"}
	case !x.client.MayUse(x.grant):
		return refusal(codeUnauthorizedClient, "this client may not use this grant type (RFC 6749 §5.2)")
	}
	return nil
}

// parametersPresent names what a grant needs (RFC 6749 §4.3.2, §6).
func parametersPresent(x *exchange) error {
	missing := ""
	switch x.grant {
	case clients.GrantPassword:
		if x.form.Get("password") == "" {
			missing = "password"
		}
		if x.form.Get("username") == "" {
			missing = "username"
		}
	case clients.GrantRefreshToken:
		if x.form.Get("refresh_token") == "" {
			missing = "refresh_token"
		}
	}
	if missing != "" {
		return refusal(codeInvalidRequest, "%s is required for this grant type", missing)
	}
	return nil
}

// writeToken writes the successful answer of RFC 6749 §5.1; expires_in is in seconds, of which the first began with iat.
func writeToken(x *exchange, info oauth2.TokenInfo) {
	life := info.GetAccessExpiresIn()
	if x.left > 0 {
		life = min(life, x.left)
	}
	seconds := int64((life + time.Second - 1) / time.Second)
	answer := newAnswer().Text("access_token", info.GetAccess()).Text("token_type", "Bearer").Number("expires_in", seconds)
	answer = answer.TextOr("refresh_token", info.GetRefresh()).TextOr("scope", info.GetScope())
	x.write(http.StatusOK, answer.Close())
}
