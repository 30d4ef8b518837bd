package server

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/grantor-auth/grantor/internal/metadata"
)

// routes is the table of endpoints: contract first, one line each.
func (s *Server) routes() (*gin.Engine, error) {
	g := gin.New()
	g.HandleMethodNotAllowed = true
	g.RedirectTrailingSlash = false // a redirect would repeat the POST (RFC 9700 §4.12)
	g.RedirectFixedPath = false
	g.UseRawPath = true // a path with escapes is another path: a proxy's rules may not take it for ours
	// Gin's own reading of addresses is not used; see clientOf.
	if err := g.SetTrustedProxies(nil); err != nil {
		return nil, err
	}
	g.NoRoute(s.do("none", notFound))
	g.NoMethod(s.do("none", methodNotAllowed))

	g.POST(s.path+PathToken, s.do("token", s.formBody, s.authenticateClient, s.showCertificate, s.token))
	g.POST(s.path+pathIntrospect,
		s.do("introspect", s.formBody, s.authenticateIntrospector, confidentialOnly, s.introspect))
	g.POST(s.path+pathRevoke, s.do("revoke", s.formBody, s.authenticateClient, s.revoke))
	if s.cfg.Feed != nil {
		g.POST(s.path+pathFeed, s.do("revocations", s.formBody, s.proveClient, confidentialOnly, s.revocations))
	}
	if s.cfg.Users != nil {
		own := s.path + pathSessions
		get(g, own, s.do("sessions", s.authenticateUser, s.listOwnSessions))
		g.DELETE(own, s.do("sessions", s.authenticateUser, s.endOwnSessions))
		g.DELETE(own+"/:id", s.do("sessions", s.authenticateUser, s.endOwnSession))
	}
	for _, name := range []string{"oauth-authorization-server", "openid-configuration"} {
		// RFC 8414 §3.1: the issuer's path comes last. OpenID Connect Discovery §4 puts it first.
		get(g, "/.well-known/"+name+s.path, s.do("metadata", s.metadata))
		if s.path != "" {
			get(g, s.path+"/.well-known/"+name, s.do("metadata", s.metadata))
		}
	}
	if s.cfg.Preset == metadata.PresetMCP {
		get(g, s.path+PathAuthorize, s.do("authorize", authorizationQuery, authorize))
		g.POST(s.path+PathAuthorize, s.do("authorize", s.formBody, authorize))
	}
	if s.cfg.Keys != nil {
		get(g, s.path+pathJWKS, s.do("jwks", s.jwks))
	}
	description, err := describePublic(s.cfg.Issuer)
	if err != nil {
		return nil, err
	}
	get(g, s.path+pathOpenAPI, s.do("openapi", description))
	get(g, "/healthz", s.do("health", healthz))
	get(g, "/readyz", s.do("health", s.readyz))
	return g, nil
}

// get serves GET, and HEAD with it (RFC 9110 §9.1). net/http leaves out the body of an answer to
// HEAD.
func get(g gin.IRoutes, path string, handlers ...gin.HandlerFunc) {
	g.GET(path, handlers...)
	g.HEAD(path, handlers...)
}

func notFound(*exchange) error {
	return &Error{Code: codeInvalidRequest, Status: http.StatusNotFound,
		Description: "there is nothing at this path; /.well-known/oauth-authorization-server lists " +
			"the endpoints"}
}

func methodNotAllowed(x *exchange) error { // Gin has set Allow (RFC 9110 §15.5.6)
	return &Error{Code: codeInvalidRequest, Status: http.StatusMethodNotAllowed,
		Description: "this endpoint does not take this method; it takes " + x.gin.Writer.Header().Get("Allow")}
}
