package server

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/grantor-auth/grantor/middleware"
)

type operatorKey struct{}

// WithOperator returns a context for requests to OperatorAPI: name is the actor of what they
// change, as the audit trail has it. Only a program that authenticated the person may call it.
func WithOperator(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, operatorKey{}, name)
}

// OperatorAPI is the admin API for a program in this process that authenticates people by itself,
// such as the console. It asks for no token, and refuses requests without WithOperator. It is never
// a listener's handler.
func (s *Server) OperatorAPI() http.Handler { return s.operator }

// operatorRoutes is the table of OperatorAPI.
func (s *Server) operatorRoutes() (*gin.Engine, error) {
	g := gin.New()
	g.HandleMethodNotAllowed = true
	g.RedirectTrailingSlash = false
	g.UseRawPath, g.UnescapePathValues = true, false // see adminRoutes
	if err := g.SetTrustedProxies(nil); err != nil {
		return nil, err
	}
	g.Use(s.observe, unescapeIDs, s.guardOperator)
	g.NoRoute(s.do("none", notFound))
	g.NoMethod(s.do("none", methodNotAllowed))
	if s.cfg.Manager != nil {
		s.adminAPI(g.Group("/admin/v1", mark("admin")))
	}
	return g, nil
}

// guardOperator refuses requests that no program in this process vouches for.
func (s *Server) guardOperator(c *gin.Context) {
	if x := exchangeFrom(c.Request.Context()); operatorOf(x) == "" {
		s.refuse(x, &Error{Code: codeInvalidToken, Status: http.StatusUnauthorized, Reason: "no_token",
			Description: "nobody says which operator asks"})
		c.Abort()
	}
}

func operatorOf(ctx context.Context) string {
	name, _ := ctx.Value(operatorKey{}).(string)
	return name
}

// actor is who asks the admin API: a person, or the client of the token.
func (x *exchange) actor() string {
	if name := operatorOf(x); name != "" {
		return name
	}
	if t := middleware.TokenFrom(x.gin.Request.Context()); t != nil {
		return t.ClientID
	}
	return ""
}
