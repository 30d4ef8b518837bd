package server

import (
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"github.com/grantor-auth/grantor/middleware"
)

// adminRoutes is the table of the admin listener's endpoints: registration (RFC 7591, RFC 7592) and
// the admin API. The public listener has none of them.
func (s *Server) adminRoutes() (*gin.Engine, error) {
	g := gin.New()
	g.HandleMethodNotAllowed = true
	g.RedirectTrailingSlash = false
	// An id may hold any character, escaped; nothing else of a path may be escaped. See
	// unescapeIDs.
	g.UseRawPath, g.UnescapePathValues = true, false
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
	guard, err := middleware.New(middleware.Config{Verifier: s.Verifier(), Audience: s.cfg.Issuer + AdminAudience,
		Realm: "grantor", Log: s.log, Now: s.now, ClientCertificate: s.leafOf,
		DPoP: middleware.DPoP{URL: s.cfg.AdminURL, Used: usedProofs{s.cfg.Store}}})
	if err != nil {
		return nil, err
	}
	g.POST(pathRegister, mark("register"), guard.Authenticate(), guard.RequireAll(ScopeClients),
		s.do("register", jsonBody, s.register))
	get(g, pathRegister+"/:id", s.do("register", s.registrationToken, s.readRegistration))
	g.PUT(pathRegister+"/:id", s.do("register", jsonBody, s.registrationToken, s.replaceRegistration))
	g.DELETE(pathRegister+"/:id", s.do("register", s.registrationToken, s.deleteRegistration))

	s.adminAPI(g.Group("/admin/v1", mark("admin"), guard.Authenticate(), guard.RequireAll(ScopeAdmin)))
	return g, nil
}

// adminAPI is the table of the admin API's endpoints.
func (s *Server) adminAPI(admin *gin.RouterGroup) {
	get(admin, "/clients", s.do("admin", s.listClients))
	admin.POST("/clients", s.do("admin", jsonBody, s.createClient))
	get(admin, "/clients/:id", s.do("admin", s.showClient))
	admin.PATCH("/clients/:id", s.do("admin", jsonBody, s.changeClient))
	admin.DELETE("/clients/:id", s.do("admin", s.deleteClient))
	admin.POST("/clients/:id/disable", s.do("admin", s.disableClient))
	admin.POST("/clients/:id/enable", s.do("admin", s.enableClient))
	admin.POST("/clients/:id/revoke-tokens", s.do("admin", s.revokeClientTokens))
	get(admin, "/clients/:id/lockout", s.do("admin", s.showClientLockout))
	admin.DELETE("/clients/:id/lockout", s.do("admin", s.unlockClient))
	get(admin, "/clients/:id/secrets", s.do("admin", s.listSecrets))
	admin.POST("/clients/:id/secrets", s.do("admin", jsonBody, s.rotateSecret))
	admin.DELETE("/clients/:id/secrets/:secret", s.do("admin", s.revokeSecret))
	get(admin, "/clients/:id/keys", s.do("admin", s.managedKeys, s.listKeys))
	admin.POST("/clients/:id/keys", s.do("admin", s.managedKeys, jsonBody, s.createKey))
	admin.DELETE("/clients/:id/keys", s.do("admin", s.managedKeys, s.revokeKeys))
	get(admin, "/clients/:id/keys/:key", s.do("admin", s.managedKeys, s.showKey))
	admin.DELETE("/clients/:id/keys/:key", s.do("admin", s.managedKeys, s.revokeKey))

	get(admin, "/scopes", s.do("admin", s.listScopes))
	get(admin, "/signing-keys", s.do("admin", s.managedSigningKeys, s.listSigningKeys))
	admin.POST("/signing-keys/rotate", s.do("admin", s.managedSigningKeys, jsonBody, s.rotateSigningKeys))

	admin.POST("/tokens/explain", s.do("admin", jsonBody, s.explainToken))
	admin.POST("/tokens/revoke", s.do("admin", jsonBody, s.revokeAnyToken))
	get(admin, "/lockouts", s.do("admin", s.listLocked))
	admin.DELETE("/lockouts/:address", s.do("admin", s.unlockAddress))
	get(admin, "/users/:sub/lockout", s.do("admin", s.showLockout))
	admin.DELETE("/users/:sub/lockout", s.do("admin", s.unlockUser))

	get(admin, "/users/:sub/sessions", s.do("admin", s.listSessions))
	admin.DELETE("/users/:sub/sessions", s.do("admin", s.endSessions))
	admin.DELETE("/users/:sub/sessions/:session", s.do("admin", s.endSession))
	get(admin, "/users", s.do("admin", s.managedUsers, s.listUsers))
	admin.POST("/users", s.do("admin", s.managedUsers, jsonBody, s.createUser))
	get(admin, "/users/:sub", s.do("admin", s.managedUsers, s.showUser))
	admin.PATCH("/users/:sub", s.do("admin", s.managedUsers, jsonBody, s.changeUser))
	admin.DELETE("/users/:sub", s.do("admin", s.managedUsers, s.deleteUser))
}

// unescapeIDs reads ids out of the path by RFC 3986 §2.1. Gin itself reads a plus beside a %2F as a
// space.
func unescapeIDs(c *gin.Context) {
	for i, p := range c.Params {
		if id, err := url.PathUnescape(p.Value); err == nil && c.Request.URL.RawPath != "" {
			c.Params[i].Value = id
		}
	}
}

// Admin returns what serves the admin listener.
func (s *Server) Admin() http.Handler { return s.admin }

// Scopes that open the admin listener. They match literally, and no user's token has one.
const (
	ScopeAdmin   = "grantor:admin"
	ScopeClients = "grantor:clients"
)

// mark names the endpoint of requests that the guard refuses, for metrics.
func mark(endpoint string) gin.HandlerFunc {
	return func(c *gin.Context) {
		if x := exchangeFrom(c.Request.Context()); x != nil {
			x.endpoint = endpoint
		}
	}
}
