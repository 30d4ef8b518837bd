// Package rivals is the servers that Grantor is measured against and that this repository can
// build: Gin alone, Gin with one command of Redis, which is the naive ceiling, and go-oauth2 as it
// is commonly wired. Each is served by a process of its own. Beside them lie node/, oidc-provider,
// and hydra/, the module that pins Ory Hydra.
package rivals

import (
	"embed"
	"fmt"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"
	"github.com/go-redis/redis/v8"
)

// What all contestants know.
const (
	MachineID     = "bench-machine"
	MachineSecret = "gcs_bench-machine-secret-of-no-value"
	APIID         = "bench-api"
	APISecret     = "gcs_bench-api-secret-of-no-value"
	AppID         = "bench-app"
	AppSecret     = "gcs_bench-app-secret-of-no-value"
	Password      = "correct horse battery staple" // of every user
	Scope         = "orders:read"
	Resource      = "https://orders.example.com"
)

// Users are the names of those who log in: many, as in life.
func Users() (names []string) {
	for i := range 600 {
		names = append(names, "user-"+strconv.Itoa(i))
	}
	return names
}

// Paths of the endpoints, as Grantor has them.
const (
	PathToken      = "/oauth2/token"
	PathIntrospect = "/oauth2/introspect"
	PathRevoke     = "/oauth2/revoke"
)

// Node is what oidc-provider is run by.
//
//go:embed node
var Node embed.FS

// Serve serves one of the rivals until it fails, over TLS if it gets the paths of a certificate and
// its key.
func Serve(name, listen, redisAddr string, pair ...string) error {
	gin.SetMode(gin.ReleaseMode)
	g := gin.New()
	db := redis.NewClient(&redis.Options{Addr: redisAddr})
	switch name {
	case "gin":
		fixed(g)
	case "ceiling":
		ceiling(g, db)
	case "go-oauth2":
		goOAuth2(g, db)
	default:
		return fmt.Errorf("there is no rival %q", name)
	}
	g.GET("/healthz", func(c *gin.Context) { c.Status(http.StatusOK) })
	if len(pair) == 2 {
		return http.ListenAndServeTLS(listen, pair[0], pair[1], g) //nolint:gosec // a benchmark on loopback
	}
	return http.ListenAndServe(listen, g) //nolint:gosec // a benchmark on loopback
}

type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	Scope        string `json:"scope"`
}

type introspection struct {
	Active    bool   `json:"active"`
	Scope     string `json:"scope,omitempty"`
	ClientID  string `json:"client_id,omitempty"`
	TokenType string `json:"token_type,omitempty"`
	Exp       int64  `json:"exp,omitempty"`
}

// fixed answers always the same: what HTTP by Gin costs.
func fixed(g *gin.Engine) {
	token := tokenAnswer{"fixed", "Bearer", 900, "fixed", Scope}
	g.POST(PathToken, func(c *gin.Context) { c.JSON(http.StatusOK, token) })
	g.POST(PathIntrospect, func(c *gin.Context) {
		c.JSON(http.StatusOK, introspection{Active: true, Scope: Scope, ClientID: MachineID, TokenType: "Bearer", Exp: 1})
	})
}
