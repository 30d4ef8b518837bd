package server

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/grantor-auth/grantor/internal/dpop"
	"github.com/grantor-auth/grantor/scopes"
	"github.com/grantor-auth/grantor/tokens"
)

// authenticateUser finds out whose session asks: by an access token with grantor:sessions in the
// Authorization header, and nowhere else (RFC 6750 §2.1).
func (s *Server) authenticateUser(x *exchange) error {
	x.wanted = scopes.ScopeSessions
	found, err := s.presentedToken(x)
	if err != nil {
		return err
	}
	if err := s.mayUseSessions(x, found); err != nil {
		return err
	}
	if err := s.limitRate(x, found.client); err != nil {
		return err
	}
	x.asking = found
	return nil
}

// presentedToken returns the active access token of the Authorization header (RFC 6750 §2.1), if
// the request proves what the token is bound to (RFC 8705 §3, RFC 9449 §7.1).
func (s *Server) presentedToken(x *exchange) (activeToken, error) {
	text, err := accessTokenOf(x)
	if err != nil {
		return activeToken{}, err
	}
	p, err := s.identify(x, text)
	found, err := s.lookUp(x, p, err)
	if why, ok := errors.AsType[inactiveReason](err); ok {
		return activeToken{}, tokenNotActive(x, Reason(why))
	}
	if err != nil {
		return activeToken{}, err
	}
	if !s.provesCertificate(x, found.record.Confirmation) {
		return activeToken{}, challenge(x, http.StatusUnauthorized, codeInvalidToken, reasonOtherCertificate,
			"the token is bound to a certificate, and the request does not present it (RFC 8705 §3)")
	}
	if err := s.proveHolder(x, text, found.record.Confirmation); err != nil {
		return activeToken{}, err
	}
	return found, nil
}

// tokenNotActive refuses a token with the words for all that are not active.
func tokenNotActive(x *exchange, why Reason) error {
	return challenge(x, http.StatusUnauthorized, codeInvalidToken, why, "the token is unknown, expired or revoked")
}

// mayUseSessions demands a user's token with the scope grantor:sessions and its audience.
func (s *Server) mayUseSessions(x *exchange, found activeToken) error {
	scope, err := scopes.ParseGranted(found.record.Scope)
	switch {
	case err != nil:
		return tokens.ErrRecord
	case found.token.Kind != tokens.UserAccess || !scope.Has(scopes.ScopeSessions):
		return challenge(x, http.StatusForbidden, codeInsufficientScope, "insufficient_scope",
			"this needs a token of its own: name "+scopes.ScopeSessions+" in the scope of the login, and then "+
				"refresh with scope="+scopes.ScopeSessions)
	case !slices.Contains(found.record.Audience, s.sessionsAudience()):
		return challenge(x, http.StatusUnauthorized, codeInvalidToken, Reason(inactiveAudience),
			"the token is meant for another resource")
	}
	return nil
}

// accessTokenOf returns the token of the Authorization header (RFC 6750 §2.1, RFC 9449 §7.1).
// Schemes but Bearer and DPoP count as no credentials.
func accessTokenOf(x *exchange) (string, error) {
	r := x.gin.Request
	inQuery := r.URL.Query().Has("access_token")
	values := r.Header["Authorization"]
	switch {
	case len(values) > 1:
		return "", malformedBearer(x, "there is more than one Authorization header")
	case len(values) == 1 && inQuery:
		return "", malformedBearer(x, "the token is sent in more than one way; send it in the header alone")
	}
	scheme, token, _ := strings.Cut(strings.Join(values, ""), " ")
	switch {
	case strings.EqualFold(scheme, schemeDPoP):
		x.scheme = schemeDPoP
	case !strings.EqualFold(scheme, schemeBearer):
		why := "no access token came"
		if inQuery {
			why = "a token in the query is not read (RFC 9700 §4.3.2)"
		}
		return "", challenge(x, http.StatusUnauthorized, "", "no_token",
			why+"; send the header Authorization: Bearer, one space, the token (RFC 6750 §2.1)")
	}
	if token == "" || strings.Contains(token, " ") {
		return "", malformedBearer(x, "the Authorization header must be: Bearer or DPoP, one space, the token (RFC 6750 §2.1)")
	}
	return token, nil
}

func malformedBearer(x *exchange, description string) error {
	return challenge(x, http.StatusBadRequest, codeInvalidRequest, "authorization_header", description)
}

// Schemes of access tokens (RFC 6750 §2.1, RFC 9449 §7.1).
const (
	schemeBearer = "Bearer"
	schemeDPoP   = "DPoP"
)

// challenge is a refusal with its challenge (RFC 6750 §3, RFC 9449 §7.1), in the scheme of the
// exchange. code is "" where no token came: then there are challenges of both schemes, without
// error.
func challenge(x *exchange, status int, code string, reason Reason, description string) *Error {
	e := &Error{Code: code, Status: status, Reason: reason, Description: description}
	text := ` realm="grantor"`
	if code == "" {
		e.Code = codeInvalidToken // of the body alone
	} else {
		text += `, error="` + code + `", error_description="` + describable(description) + `"`
	}
	if status != http.StatusBadRequest {
		text += `, scope="` + x.wanted + `"`
	}
	h := x.gin.Writer.Header()
	h.Del("WWW-Authenticate")
	if code == "" || x.scheme != schemeDPoP {
		h.Add("WWW-Authenticate", schemeBearer+text)
	}
	if code == "" || x.scheme == schemeDPoP {
		h.Add("WWW-Authenticate", schemeDPoP+text+`, algs="`+strings.Join(dpop.Algorithms(), " ")+`"`)
	}
	return e
}
