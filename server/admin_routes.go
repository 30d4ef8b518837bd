package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/internal/audit"
	"github.com/grantor-auth/grantor/internal/jsonobject"
	"github.com/grantor-auth/grantor/internal/metrics"
	"github.com/grantor-auth/grantor/middleware"
	"github.com/grantor-auth/grantor/users"
)

// Scopes that open the admin listener. They match literally, and no user's token has one.
const (
	ScopeAdmin   = "grantor:admin"
	ScopeClients = "grantor:clients"
)

// adminRoutes is the table of the admin listener's endpoints: registration (RFC 7591, RFC 7592) and the admin API. They are never
// on the public listener.
func (s *Server) adminRoutes() (*gin.Engine, error) {
	g := gin.New()
	g.HandleMethodNotAllowed = true
	g.RedirectTrailingSlash = false
	g.UseRawPath, g.UnescapePathValues = true, false // an id may hold any character, escaped; nothing else of a path may be escaped. See unescapeIDs
	if err := g.SetTrustedProxies(nil); err != nil {
		return nil, err
	}
	g.Use(s.observe, s.guardHost, unescapeIDs)
	g.NoRoute(s.do("none", notFound))
	g.NoMethod(s.do("none", methodNotAllowed))
	get(g, "/healthz", s.do("health", healthz))
	get(g, "/readyz", s.do("health", s.readyz))
	get(g, "/admin/v1/openapi.json", s.do("openapi", openAPI))
	if s.cfg.Manager == nil {
		return g, nil
	}
	guard, err := middleware.New(middleware.Config{Verifier: s.Verifier(), Audience: s.cfg.Issuer + AdminAudience, Realm: "grantor", Log: s.log, Now: s.now})
	if err != nil {
		return nil, err
	}
	g.POST(pathRegister, mark("register"), guard.Authenticate(), guard.RequireAll(ScopeClients), s.do("register", jsonBody, s.register))
	get(g, pathRegister+"/:id", s.do("register", s.registrationToken, s.readRegistration))
	g.PUT(pathRegister+"/:id", s.do("register", jsonBody, s.registrationToken, s.replaceRegistration))
	g.DELETE(pathRegister+"/:id", s.do("register", s.registrationToken, s.deleteRegistration))

	admin := g.Group("/admin/v1", mark("admin"), guard.Authenticate(), guard.RequireAll(ScopeAdmin))
	get(admin, "/clients", s.do("admin", s.listClients))
	admin.POST("/clients", s.do("admin", jsonBody, s.createClient))
	get(admin, "/clients/:id", s.do("admin", s.showClient))
	admin.PATCH("/clients/:id", s.do("admin", jsonBody, s.changeClient))
	admin.DELETE("/clients/:id", s.do("admin", s.deleteClient))
	admin.POST("/clients/:id/disable", s.do("admin", s.disableClient))
	admin.POST("/clients/:id/enable", s.do("admin", s.enableClient))
	admin.POST("/clients/:id/revoke-tokens", s.do("admin", s.revokeClientTokens))
	get(admin, "/clients/:id/secrets", s.do("admin", s.listSecrets))
	admin.POST("/clients/:id/secrets", s.do("admin", jsonBody, s.rotateSecret))
	admin.DELETE("/clients/:id/secrets/:secret", s.do("admin", s.revokeSecret))

	get(admin, "/users/:sub/sessions", s.do("admin", s.listSessions))
	admin.DELETE("/users/:sub/sessions", s.do("admin", s.endSessions))
	admin.DELETE("/users/:sub/sessions/:session", s.do("admin", s.endSession))
	get(admin, "/users", s.do("admin", s.managedUsers, s.listUsers))
	admin.POST("/users", s.do("admin", s.managedUsers, jsonBody, s.createUser))
	get(admin, "/users/:sub", s.do("admin", s.managedUsers, s.showUser))
	admin.PATCH("/users/:sub", s.do("admin", s.managedUsers, jsonBody, s.changeUser))
	admin.DELETE("/users/:sub", s.do("admin", s.managedUsers, s.deleteUser))
	return g, nil
}

// unescapeIDs reads ids out of the path by RFC 3986 §2.1. Gin's own way reads a plus as a space, beside a %2F alone.
func unescapeIDs(c *gin.Context) {
	for i, p := range c.Params {
		if id, err := url.PathUnescape(p.Value); err == nil && c.Request.URL.RawPath != "" {
			c.Params[i].Value = id
		}
	}
}

// mark names the endpoint of requests that the guard refuses, for metrics.
func mark(endpoint string) gin.HandlerFunc {
	return func(c *gin.Context) {
		if x := exchangeFrom(c.Request.Context()); x != nil {
			x.endpoint = endpoint
		}
	}
}

const pathRegister = "/oauth2/register"

// Admin returns what serves the admin listener.
func (s *Server) Admin() http.Handler { return s.adminEngine }

// jsonBody reads a body of JSON, bounded, of the one media type.
func jsonBody(x *exchange) error {
	r := x.gin.Request
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return refusal(codeInvalidRequest, "the body must be application/json, said by the Content-Type header")
	}
	body, err := readBody(x)
	x.body = []byte(body)
	return err
}

// decode reads the body into a value whose members all exist.
func (x *exchange) decode(into any) error {
	d := json.NewDecoder(bytes.NewReader(x.body))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if _, more := d.Token(); err == nil && more != io.EOF {
		err = errors.New("there is more behind the JSON value")
	}
	if err == nil && bytes.TrimLeft(x.body, " \t\r\n")[0] != '{' { // null fits everything
		err = errors.New("it must be an object")
	}
	if err == nil && jsonobject.NullInList(x.body) {
		err = errors.New("a list has null for an element")
	}
	if err != nil {
		return refusal(codeInvalidRequest, "the JSON cannot be used: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// adminError turns what the registry and the directory refuse into answers.
func adminError(err error) error {
	field, isField := errors.AsType[*clients.FieldError](err)
	inUse, isInUse := errors.AsType[*clients.InUseError](err)
	_, malformed := errors.AsType[*users.MalformedError](err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, clients.ErrRecord): // a stored field is none of the request's
		return err
	case errors.Is(err, clients.ErrNotConfirmed):
		return notConfirmed(nil, err)
	case isInUse:
		return &Error{Code: codeInvalidRequest, Status: http.StatusConflict, Reason: "secret_in_use",
			Description: inUse.Error() + `; wait until the older one ends, revoke the one that nobody needs, or insist with "force": true`}
	case isField:
		return refusal(codeInvalidMetadata, "%s", field.Error())
	case errors.Is(err, clients.ErrUnknown), errors.Is(err, users.ErrUnknown):
		return &Error{Code: codeInvalidRequest, Status: http.StatusNotFound, Description: "there is none of this id"}
	case errors.Is(err, clients.ErrExists), errors.Is(err, users.ErrExists):
		return &Error{Code: codeInvalidRequest, Status: http.StatusConflict, Description: "this id or name is taken"}
	case errors.Is(err, clients.ErrReadOnly):
		return &Error{Code: codeInvalidRequest, Status: http.StatusConflict, Description: clients.ErrReadOnly.Error()}
	case errors.Is(err, clients.ErrTooMany):
		return &Error{Code: codeInvalidRequest, Status: http.StatusForbidden, Reason: "registrations",
			Description: "this client has registered as many clients as [limits] registrations allows; delete some that are not needed"}
	case errors.Is(err, clients.ErrOvertaken):
		return &Error{Code: codeInvalidRequest, Status: http.StatusConflict, Description: clients.ErrOvertaken.Error()}
	case malformed:
		return refusal(codeInvalidRequest, "%s", err.Error())
	}
	return err
}

// change is what an operator's program, or a client with its registration token, asked for.
type change struct {
	event, client, detail string
	status                int
	answer                any // nil: 204
}

// changed tells the trail what was done, and answers. A change that too few replicas have confirmed was made all the same: it is
// told, and its answer stands beside the error, for it may hold a secret that is shown once.
func (s *Server) changed(x *exchange, c change, err error) error {
	unconfirmed := errors.Is(err, clients.ErrNotConfirmed)
	if err != nil && !unconfirmed {
		return s.notChanged(c, err)
	}
	s.recordChange(x, c, unconfirmed)
	switch {
	case unconfirmed:
		return notConfirmed(c.answer, err)
	case c.answer == nil:
		x.gin.Writer.WriteHeader(http.StatusNoContent)
		x.gin.Writer.WriteHeaderNow()
	default:
		writeJSON(x, c.status, c.answer)
	}
	return nil
}

// notChanged is the refusal of a change. Where nobody knows whether it was made, a fresh secret is shown: it may be in force.
func (s *Server) notChanged(c change, err error) error {
	e := asError(adminError(err))
	if shown, ok := c.answer.(secretShown); ok && shown.showsSecret() && e.Outcome == metrics.OutcomeUnknown {
		e.More = c.answer
	}
	return e
}

// secretShown is an answer that may show a secret.
type secretShown interface{ showsSecret() bool }

// notConfirmed says that a thing was done, and that a failover may undo it.
func notConfirmed(answer any, err error) error {
	return &Error{Code: codeUnavailable, Status: http.StatusServiceUnavailable, RetryAfter: time.Second, Reason: reasonNotConfirmed, Err: err, Outcome: metrics.OutcomeNotConfirmed, More: answer,
		Description: "this was done, but too few replicas of the store have confirmed it, so a failover may undo it; it is safe to repeat it"}
}

// reasonNotConfirmed names changes that were made and not confirmed, in log, metrics and trail.
const reasonNotConfirmed = audit.NotConfirmed

func (s *Server) recordChange(x *exchange, c change, unconfirmed bool) {
	if s.cfg.Audit == nil {
		return
	}
	e := audit.Change(c.event, c.client, c.detail, unconfirmed)
	e.RequestID, e.Peer = x.id, x.clientIP()
	if t := middleware.TokenFrom(x.gin.Request.Context()); t != nil {
		e.Actor = t.ClientID
	}
	s.cfg.Audit.Record(x, e)
}
